"""Requests to a new revision at its own address, before it gets traffic."""

import logging
import time
from typing import Any

from pydantic import Field, SecretStr
from requests import RequestException, Session

from boatyard.cloud.place import Place
from boatyard.cloud.rest import Api, json_object
from boatyard.cloud.run_api import Refused
from boatyard.cloud.service import CANDIDATE, Object, annotations
from boatyard.config.environment import EnvironmentSettings
from boatyard.evaluate.markdown import one_line

log = logging.getLogger(__name__)

_PATH = "boatyard/probe"  # annotation: the path to request
_IAP = "run.googleapis.com/iap-enabled"  # annotation: Identity-Aware Proxy, which lets only people in
_SECONDS = 30.0  # for a new address to become known everywhere, and for one response
_NOT_YET = {404, 502, 503, 504}


class Settings(EnvironmentSettings):
    """What the probe reads from its environment."""

    key: SecretStr = Field(SecretStr(""), validation_alias="BOATYARD_API_KEY")


def probe(where: Place, session: Session, manifest: Object, service: Object) -> None:
    """Request the manifest's probe path and, where that lists examples, a prediction. Raises Refused, ApiError."""
    if annotations(manifest).get(_IAP) == "true":
        log.info("Identity-Aware Proxy is in front: the new revision has answered Cloud Run's own probe, and no other")
        return
    address = next(target["url"] for target in service["status"]["traffic"] if target.get("tag") == CANDIDATE)
    account = f"v1/projects/-/serviceAccounts/{where.account('run')}:generateIdToken"
    body = {"audience": service["status"]["url"], "includeEmail": True}  # the service's URL, even for a tag's address
    headers = {"Authorization": f"Bearer {Api(session, 'iamcredentials').post(account, body)['token']}"}
    if key := Settings.from_environment().key.get_secret_value():
        headers["X-API-Key"] = key
    with Session() as probing:
        probing.headers.update(headers)
        content = _request(probing, "GET", address + annotations(manifest).get(_PATH, "/"))
        if examples := content.get("examples"):
            _request(probing, "POST", f"{address}/predict", examples[0])


def _request(session: Session, method: str, url: str, body: Any = None) -> Object:
    deadline = time.monotonic() + _SECONDS
    while True:
        try:
            response = session.request(method, url, json=body, timeout=_SECONDS)
        except RequestException as error:
            status, reason = 503, type(error).__name__
        else:
            status, content = response.status_code, json_object(response)
            if status < 400:
                return content
            reason = one_line(f"{status} {content.get('detail', '')}")
        if status not in _NOT_YET or time.monotonic() > deadline:
            path = url.partition("//")[2].partition("/")[2]
            raise Refused(f"{method} /{path} of the new revision returned {reason}")
        time.sleep(1)
