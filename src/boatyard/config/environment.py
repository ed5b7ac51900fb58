"""Settings that every process reads from its environment. An empty variable counts as unset."""

from collections.abc import Mapping

from boatyard.config.errors import UserError
from boatyard.registry import DEFAULT_ALIAS, ROOT, Reference, parse_reference
from boatyard.storage import open_storage

DEFAULT_STORAGE = "."
DEFAULT_MODEL = Reference("inbox", DEFAULT_ALIAS)


def read_model(environment: Mapping[str, str]) -> tuple[str, Reference]:
    """The storage and the model, from BOATYARD_STORAGE and BOATYARD_MODEL.

    The model may include its storage, as in `gs://BUCKET/PREFIX/models/inbox@production`. Raises UserError, which
    names the variable.
    """
    value = environment.get("BOATYARD_MODEL") or str(DEFAULT_MODEL)
    root, _, reference = value.rpartition(f"/{ROOT}")
    root = root.rstrip("/")
    if "/" in reference:
        raise UserError(f"BOATYARD_MODEL: {value!r} is neither NAME[@ALIAS] nor STORAGE/{ROOT}NAME[@ALIAS]")
    try:
        model = parse_reference(reference)
    except UserError as error:
        raise UserError(f"BOATYARD_MODEL: {error}") from None
    storage = environment.get("BOATYARD_STORAGE") or root or DEFAULT_STORAGE
    if root and storage.rstrip("/") != root:
        raise UserError(f"BOATYARD_MODEL: it is in {root}, but BOATYARD_STORAGE is {storage}: set one of the two")
    try:
        open_storage(storage)
    except UserError as error:
        raise UserError(f"{'BOATYARD_MODEL' if root else 'BOATYARD_STORAGE'}: {error}") from None
    return storage, model
