"""Google's REST APIs, with the credentials and the environment variables that gcloud itself uses.

`CLOUDSDK_API_ENDPOINT_OVERRIDES_<API>` sets another address for an API, `CLOUDSDK_AUTH_DISABLE_CREDENTIALS` sends no
credentials: that is all that a stand-in needs.
"""

import os
import time
from collections.abc import Iterator
from typing import Any

import google.auth
from google.auth.exceptions import GoogleAuthError
from google.auth.transport.requests import AuthorizedSession
from requests import RequestException, Response, Session

from boatyard.cloud.refusals import refusal
from boatyard.config.errors import UserError

_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_TIMEOUT = (5.0, 30.0)  # seconds to connect, and between bytes
_PAUSES = (0.5, 1.0, 2.0, 4.0)  # seconds between retries
_TRANSIENT = {408, 429, 500, 502, 503, 504}


class ApiError(UserError):
    """A request failed; `status` is the HTTP status, None if there was no response; `fix` a command that mends it.

    `reason`: Google's word for it, such as SERVICE_DISABLED, where it gives one.
    """

    def __init__(
        self, message: str, status: int | None = None, fix: str | None = None, reason: str | None = None
    ) -> None:
        super().__init__(f"{message}; run `{fix}`" if fix else message)
        self.status = status
        self.fix = fix
        self.reason = reason


def open_session() -> Session:
    """A session with the application default credentials.

    Raises:
        UserError: there are none.
    """
    if os.environ.get("CLOUDSDK_AUTH_DISABLE_CREDENTIALS", "").lower() in {"1", "true"}:
        return Session()
    try:
        credentials, _ = google.auth.default(scopes=[_SCOPE])
    except GoogleAuthError:
        raise UserError("no credentials for Google Cloud: run `gcloud auth application-default login`") from None
    return AuthorizedSession(credentials)  # type: ignore[no-untyped-call]


class Api:
    """One API, such as `Api(session, "aiplatform", f"{region}-aiplatform.googleapis.com")`."""

    def __init__(self, session: Session, name: str, host: str | None = None) -> None:
        self.name = name
        override = os.environ.get(f"CLOUDSDK_API_ENDPOINT_OVERRIDES_{name.upper()}")
        self.address = (override or f"https://{host or f'{name}.googleapis.com'}").rstrip("/")
        self._session = session

    def get(self, path: str, **parameters: Any) -> dict[str, Any]:
        """Retried after transient errors. Raises ApiError."""
        for pause in _PAUSES:
            try:
                return self._request("GET", path, parameters, None)
            except ApiError as error:
                if error.status is not None and error.status not in _TRANSIENT:
                    raise
                time.sleep(pause)
        return self._request("GET", path, parameters, None)

    def pages(self, path: str, items: str, **parameters: Any) -> Iterator[dict[str, Any]]:
        """All elements of the list `items`, page by page."""
        token = None
        while True:
            page = self.get(path, **parameters, **({"pageToken": token} if token else {}))
            yield from page.get(items, [])
            if not (token := page.get("nextPageToken")):
                return

    def post(self, path: str, body: Any = None, **parameters: Any) -> dict[str, Any]:
        """Sent once, since a retried request may already have succeeded. Raises ApiError."""
        return self._request("POST", path, parameters, {} if body is None else body)

    def put(self, path: str, body: Any) -> dict[str, Any]:
        """Sent once. Raises ApiError."""
        return self._request("PUT", path, {}, body)

    def patch(self, path: str, body: Any, **parameters: Any) -> dict[str, Any]:
        """Sent once. Raises ApiError."""
        return self._request("PATCH", path, parameters, body)

    def delete(self, path: str, **parameters: Any) -> dict[str, Any]:
        """Sent once. Raises ApiError."""
        return self._request("DELETE", path, parameters, None)

    def _request(self, method: str, path: str, parameters: dict[str, Any], body: Any) -> dict[str, Any]:
        url = f"{self.address}/{path.lstrip('/')}"
        try:
            response = self._session.request(method, url, params=parameters, json=body, timeout=_TIMEOUT)
        except GoogleAuthError as error:
            reason = str(error.args[0] if error.args else error).rstrip(".")
            raise ApiError(f"{self.name}: {reason}: run `gcloud auth application-default login`", 401) from None
        except RequestException as error:
            raise ApiError(f"{self.name}: {self.address} does not answer ({type(error).__name__})") from None
        if not response.ok:
            said = json_object(response).get("error")
            why = refusal(said if isinstance(said, dict) else {}, response.reason or "refused")
            sentence = f"{self.name}: {why.sentence} ({response.status_code})"
            raise ApiError(sentence, response.status_code, why.fix, why.reason)
        return json_object(response)


def json_object(response: Response) -> dict[str, Any]:
    """The response's JSON object; empty if its body is anything else."""
    try:
        content = response.json()
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}
