"""Checks that a command can write its results, before it starts the work."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from boatyard.config.errors import UserError, refusal
from boatyard.storage import open_storage

if TYPE_CHECKING:
    from boatyard.config.schema import Config

_UNUSED = "doctor/"  # a prefix without keys: listing it shows whether the bucket can be reached
_BELOW = {"reports": ("data/{}", "evaluation/{}"), "storage": ("models/{}/aliases", "models/{}", ".")}  # default: {}


def require_writable(config: Config, keys: Sequence[str]) -> None:
    """Try to write below each of the `keys` of `paths`, leaving nothing behind.

    Raises:
        UserError: one cannot be written, or a bucket cannot be reached.
    """
    for key in keys:
        root = getattr(config.paths, key)
        if root is None:
            continue
        try:
            reason = unwritable(root, [below.format(config.data.name) for below in _BELOW.get(key, ("{}",))])
        except (OSError, UserError) as error:
            raise UserError(f"paths.{key}: {refusal(error)}") from None
        if reason:
            raise UserError(f"paths.{key}={root} cannot be written: {reason}")


def unwritable(root: str, below: Sequence[str] = (".",)) -> str | None:
    """Why a storage, or one of the folders `below` it, cannot be written; None if they can.

    A bucket is only read. Raises UserError: there is no such storage.
    """
    storage = open_storage(root)
    if root.startswith("gs://"):
        storage.list(_UNUSED)
        return None
    try:
        for folder in below:
            existing = Path(root).expanduser().absolute() / folder
            while not existing.exists():
                existing = existing.parent
            with TemporaryDirectory(prefix=".boatyard-", dir=existing):
                pass
    except OSError as error:
        return f"{existing}: {refusal(OSError(error.errno, error.strerror))}"
    return None
