"""What every process reads from its environment. An empty variable counts as unset; an error names its variable."""

from collections.abc import Mapping

from boatyard.config.errors import UserError
from boatyard.registry import DEFAULT_ALIAS, ROOT, Reference, parse_reference
from boatyard.storage import open_storage

DEFAULT_STORAGE = "."
DEFAULT_MODEL = Reference("inbox", DEFAULT_ALIAS)


def read_model(environment: Mapping[str, str]) -> tuple[str, Reference]:
    """BOATYARD_STORAGE, a folder or gs://BUCKET/PREFIX, and BOATYARD_MODEL, a name and which of its versions.

    The model may be given with its storage, `gs://BUCKET/PREFIX/models/inbox@production`, which then is the storage.
    """
    given = environment.get("BOATYARD_MODEL") or str(DEFAULT_MODEL)
    root, _, reference = given.rpartition(f"/{ROOT}")
    root = root.rstrip("/")
    if "/" in reference:
        raise UserError(f"BOATYARD_MODEL: {given!r} is neither NAME[@ALIAS] nor STORAGE/{ROOT}NAME[@ALIAS]")
    try:
        model = parse_reference(reference)
    except UserError as wrong:
        raise UserError(f"BOATYARD_MODEL: {wrong}") from None
    storage = environment.get("BOATYARD_STORAGE") or root or DEFAULT_STORAGE
    if root and storage.rstrip("/") != root:
        raise UserError(f"BOATYARD_MODEL: it lies in {root}, but BOATYARD_STORAGE is {storage}: give one of the two")
    try:
        open_storage(storage)
    except UserError as wrong:
        raise UserError(f"{'BOATYARD_MODEL' if root else 'BOATYARD_STORAGE'}: {wrong}") from None
    return storage, model
