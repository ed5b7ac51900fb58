"""What every process reads from its environment. An empty variable counts as unset; an error names its variable."""

from collections.abc import Mapping

from boatyard.errors import UserError
from boatyard.registry import DEFAULT_ALIAS, Reference, parse_reference
from boatyard.storage import open_storage

DEFAULT_STORAGE = "."
DEFAULT_MODEL = Reference("inbox", DEFAULT_ALIAS)
LOOPBACK = ("127.0.0.1", "::1", "localhost")


def read_storage(environment: Mapping[str, str]) -> str:
    """BOATYARD_STORAGE: a folder or gs://BUCKET/PREFIX."""
    storage = environment.get("BOATYARD_STORAGE") or DEFAULT_STORAGE
    try:
        open_storage(storage)
    except UserError as wrong:
        raise UserError(f"BOATYARD_STORAGE: {wrong}") from None
    return storage


def read_model(environment: Mapping[str, str]) -> Reference:
    """BOATYARD_MODEL: a model's name, and which of its versions."""
    try:
        return parse_reference(environment.get("BOATYARD_MODEL") or str(DEFAULT_MODEL))
    except UserError as wrong:
        raise UserError(f"BOATYARD_MODEL: {wrong}") from None


def read_port(environment: Mapping[str, str], default: int) -> int:
    """PORT: to listen on."""
    port = environment.get("PORT") or str(default)
    if not (port.isascii() and port.isdigit() and 1 <= int(port[:6]) <= 65535):
        raise UserError(f"PORT: {port!r} is not a port: it is a number from 1 to 65535")
    return int(port)
