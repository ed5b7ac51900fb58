"""The services over HTTP: their responses, or a Trouble with a readable message."""

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import IO, Any

import httpx

from boatyard.config.addresses import reach_this_machine_directly
from boatyard.config.errors import UserError
from boatyard.frontend.settings import Settings

log = logging.getLogger(__name__)

SECONDS = 30.0

reach_this_machine_directly()  # before the client reads which proxies there are


def _open_client() -> httpx.Client:
    """Without the environment's proxies where httpx can use none of their kind, such as SOCKS."""
    settings: dict[str, Any] = {"timeout": httpx.Timeout(SECONDS, connect=3), "follow_redirects": False}
    try:
        return httpx.Client(**settings)
    except (ImportError, ValueError, httpx.InvalidURL) as wrong:
        log.warning("a proxy that the environment names cannot be used, and none is: %s", wrong)
        return httpx.Client(**settings, trust_env=False)


_client = _open_client()  # one for all sessions, which is why it holds no key


class Trouble(UserError):  # noqa: N818 - the word that people use
    """A service refused or failed. `status` is that of the response, 0 if there was none."""

    def __init__(self, sentence: str, service: "Service", status: int = 0) -> None:
        super().__init__(sentence)
        self.service = service
        self.status = status


@dataclass(frozen=True)
class Service:
    """One that listens at `url`, and is started by `start`."""

    name: str
    url: str
    start: str
    variable: str
    key: str = field(default="", repr=False)
    # part: cloud
    identity: str = ""
    """Google's metadata server, whose token for this service, and no other, is sent along."""
    # part end

    def get(self, path: str) -> Any:
        """The JSON response. Raises Trouble, like the other methods."""
        return self._json(self._send("GET", path))

    def read(self, path: str, media_type: str = "*/*") -> bytes:
        """The raw response body, in that form if there are several."""
        return self._send("GET", path, headers={"accept": media_type}).content

    def post(
        self, path: str, body: object = None, query: Mapping[str, str | int | float] = {}, seconds: float = SECONDS
    ) -> Any:
        """Sends JSON, or nothing. Returns the JSON response."""
        timeout = httpx.Timeout(seconds, connect=3)
        return self._json(self._send("POST", path, params=query, timeout=timeout, json=body))

    def upload(self, path: str, file: IO[bytes], media_type: str) -> Any:
        """Sends a file. Returns the JSON response."""
        return self._json(self._send("POST", path, content=file, headers={"content-type": media_type}))

    def _send(self, method: str, path: str, headers: Mapping[str, str] = {}, **options: Any) -> httpx.Response:
        if self.key:
            if not (self.key.isascii() and self.key.isprintable()):
                raise Trouble("The key has characters that no key has.", self, 403)
            headers = {**headers, "X-API-Key": self.key}
        if self.identity:  # part: cloud
            headers = {**headers, "Authorization": self._authorization()}  # part: cloud
        try:
            answer = _client.request(method, f"{self.url}{path}", headers=headers, **options)
        except httpx.ReadTimeout:
            raise Trouble(f"The {self.name} has not answered in time.", self, 504) from None
        except (httpx.TransportError, httpx.InvalidURL):
            raise Trouble(f"The {self.name} does not answer at {self.url}.", self) from None
        if answer.is_success:
            return answer
        raise Trouble(_detail(answer), self, answer.status_code)

    # part: cloud
    def _authorization(self) -> str:
        """Of a token that the metadata server keeps for as long as it is valid."""
        url = f"http://{self.identity}/computeMetadata/v1/instance/service-accounts/default/identity"
        try:
            answer = _client.get(url, params={"audience": self.url}, headers={"Metadata-Flavor": "Google"})
            return f"Bearer {answer.raise_for_status().text.strip()}"
        except (httpx.HTTPError, httpx.InvalidURL):
            raise Trouble(f"Google gives no identity token for the {self.name}.", self) from None

    # part end
    def _json(self, answer: httpx.Response) -> Any:
        try:
            return answer.json()
        except ValueError:
            raise Trouble(f"What answers at {self.url} is not the {self.name}.", self) from None


def addresses(environment: Mapping[str, str] = os.environ) -> list[Service]:
    """The api, then those that only some pages show. Raises UserError, which names the variable."""
    settings = Settings.from_environment(environment)
    # part: cloud
    if settings.google_identity:
        return [replace(each, identity=settings.metadata_server) for each in _services(settings)]
    # part end
    return _services(settings)


def _services(settings: Settings) -> list[Service]:
    return [
        Service("api", settings.api, "invoke serve", "BOATYARD_API"),
        Service("monitor", settings.monitor, "invoke monitor", "BOATYARD_MONITOR"),  # part: monitor
    ]


def _detail(answer: httpx.Response) -> str:
    """The detail of a problem document, or the meaning of the status."""
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return f"{answer.status_code} {answer.reason_phrase}"
