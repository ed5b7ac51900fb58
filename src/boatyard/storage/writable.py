"""Whether what a command will write can be written, checked before the work rather than discovered after it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from boatyard.config.errors import UserError, refusal
from boatyard.storage import open_storage

if TYPE_CHECKING:
    from boatyard.config.schema import Config

_NOTHING = "doctor/"  # a prefix that nothing lies under: to list it is to reach the storage
_BELOW = {"reports": ("data/{}", "evaluation/{}"), "storage": ("models/{}/aliases", "models/{}", ".")}  # the others: {}


def require_writable(config: Config, keys: Sequence[str]) -> None:
    """Try the places that `keys` of `paths` name; nothing is left there.

    Raises:
        UserError: one cannot be written, or a bucket cannot be reached.
    """
    for key in keys:
        root = getattr(config.paths, key)
        if root is None:
            continue
        try:
            why = unwritable(root, [below.format(config.data.name) for below in _BELOW.get(key, ("{}",))])
        except (OSError, UserError) as error:
            raise UserError(f"paths.{key}: {refusal(error)}") from None
        if why:
            raise UserError(f"paths.{key}={root} cannot be written: {why}")


def unwritable(root: str, below: Sequence[str] = (".",)) -> str | None:
    """Why a storage or a folder cannot be used, here or in what lies `below`; None if it can.

    A bucket is only looked at. Raises UserError: there is no such storage.
    """
    storage = open_storage(root)
    if root.startswith("gs://"):
        storage.list(_NOTHING)
        return None
    try:
        for folder in below:
            there = Path(root).expanduser().absolute() / folder
            while not there.exists():
                there = there.parent
            with TemporaryDirectory(prefix=".boatyard-", dir=there):
                pass
    except OSError as error:
        return f"{there}: {refusal(OSError(error.errno, error.strerror))}"
    return None
