"""One small interface over a folder of files and over a bucket of objects."""

from pathlib import Path

from boatyard.config.errors import UserError
from boatyard.storage.interface import AlreadyExists, Conflict, NotFound, Refused, Storage, Unavailable, check_key
from boatyard.storage.local import LocalStorage, write_atomically

__all__ = [
    "AlreadyExists",
    "Conflict",
    "LocalStorage",
    "NotFound",
    "Refused",
    "Storage",
    "Unavailable",
    "check_key",
    "open_storage",
    "write_atomically",
]


def open_storage(root: str) -> Storage:
    """The storage at `root`, a folder or gs://BUCKET/PREFIX. Nothing is accessed yet; the first write creates a folder.

    Raises UserError: the root is invalid.
    """
    if root.startswith("gs://"):
        return _open_bucket(root)
    if "://" in root or not root.strip() or "\0" in root:
        raise UserError(f"storage {root!r} is neither a folder nor gs://BUCKET/PREFIX")
    folder = Path(root).expanduser()
    if folder.exists() and not folder.is_dir():
        raise UserError(f"storage {root!r} is a file and must be a folder")
    return LocalStorage(folder)


def _open_bucket(root: str) -> Storage:
    try:
        from boatyard.storage.gcs import BucketStorage  # Google's client takes half a second to load
    except ImportError as error:
        raise UserError(f"storage {root!r}: install boatyard[cloud] for gs:// ({error})") from None
    return BucketStorage(root)
