"""Google's REST APIs, with the credentials and the environment variables that gcloud itself takes.

`CLOUDSDK_API_ENDPOINT_OVERRIDES_<API>` names another address for an API,
`CLOUDSDK_AUTH_DISABLE_CREDENTIALS` asks without credentials: that is all that a stand-in needs.
"""

import os
import time
from collections.abc import Iterator
from typing import Any

import google.auth
from google.auth.exceptions import GoogleAuthError
from google.auth.transport.requests import AuthorizedSession
from requests import RequestException, Response, Session

from boatyard.config.errors import UserError

_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_TIMEOUT = (5.0, 30.0)  # seconds to connect, and to hear something
_PAUSES = (0.5, 1.0, 2.0, 4.0)  # between what is asked again
_LATER = {408, 429, 500, 502, 503, 504}


class ApiError(UserError):
    """What an API answered instead; `status` is HTTP's, None where there was no answer."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


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
        """Asked again after what may pass. Raises ApiError."""
        for pause in _PAUSES:
            try:
                return self._ask("GET", path, parameters, None)
            except ApiError as error:
                if error.status is not None and error.status not in _LATER:
                    raise
                time.sleep(pause)
        return self._ask("GET", path, parameters, None)

    def pages(self, path: str, items: str, **parameters: Any) -> Iterator[dict[str, Any]]:
        """Everything under the key `items`, page by page."""
        token = None
        while True:
            page = self.get(path, **parameters, **({"pageToken": token} if token else {}))
            yield from page.get(items, [])
            if not (token := page.get("nextPageToken")):
                return

    def post(self, path: str, body: Any = None, **parameters: Any) -> dict[str, Any]:
        """Asked once: what was done without an answer must not be done twice. Raises ApiError."""
        return self._ask("POST", path, parameters, {} if body is None else body)

    def put(self, path: str, body: Any) -> dict[str, Any]:
        """Asked once. Raises ApiError."""
        return self._ask("PUT", path, {}, body)

    def delete(self, path: str) -> dict[str, Any]:
        """Asked once. Raises ApiError."""
        return self._ask("DELETE", path, {}, None)

    def _ask(self, method: str, path: str, parameters: dict[str, Any], body: Any) -> dict[str, Any]:
        url = f"{self.address}/{path.lstrip('/')}"
        try:
            answer = self._session.request(method, url, params=parameters, json=body, timeout=_TIMEOUT)
        except GoogleAuthError as error:
            told = str(error.args[0] if error.args else error).rstrip(".")
            raise ApiError(f"{self.name}: {told}: run `gcloud auth application-default login`", 401) from None
        except RequestException as error:
            raise ApiError(f"{self.name}: {self.address} does not answer ({type(error).__name__})") from None
        if not answer.ok:
            raise ApiError(f"{self.name}: {_reason(answer)} ({answer.status_code})", answer.status_code)
        return _object(answer) or {}


def _reason(answer: Response) -> str:
    error = (_object(answer) or {}).get("error")
    message = error.get("message") if isinstance(error, dict) else None
    return str(message or answer.reason or "refused").strip().rstrip(".")


def _object(answer: Response) -> dict[str, Any] | None:
    try:
        content = answer.json()
    except ValueError:
        return None
    return content if isinstance(content, dict) else None
