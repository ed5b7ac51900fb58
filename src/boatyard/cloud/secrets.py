"""Secrets that a job is given by name, and reads itself: their values are in no request and in no log."""

import os
from base64 import b64decode

from boatyard.cloud.rest import Api, open_session


def load_secret(variable: str) -> None:
    """Set this environment variable from the secret that VARIABLE_SECRET names, unless it is set. Raises ApiError."""
    name = os.environ.get(f"{variable}_SECRET")
    if not name or os.environ.get(variable):
        return
    secret = Api(open_session(), "secretmanager").get(f"v1/{name}/versions/latest:access")
    os.environ[variable] = b64decode(secret["payload"]["data"]).decode().strip()
