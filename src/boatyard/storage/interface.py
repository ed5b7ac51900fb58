"""The interface of every storage: objects under keys, below a root.

A key is a '/'-separated path below the root. No part may start with '.': this one rule excludes `..`, temporary files
and locks. Nor may it mean something else to Windows: a drive or a stream (`D:x`), a device (`nul`, `com1.txt`), a name
that ends with a dot or a blank.
"""
# the errors' names say what happened:
# ruff: noqa: N818

import re
from abc import abstractmethod
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol

from boatyard.config.errors import UserError

KEY_PART = re.compile(
    r"(?!(?i:aux|con|conin\$|conout\$|nul|prn|(?:com|lpt)[0-9\u00b9\u00b2\u00b3])\s*(?:\.|$))(?!\.)"
    r"[^/\\:\x00-\x1f\x7f\ud800-\udfff]+(?<![. ])"
)
_MOST_KEY_BYTES = 1024  # the limit of Cloud Storage

Keys = list[str]  # an alias, because the method `list` hides the type inside the classes


class NotFound(UserError):
    """There is no object under the key."""


class AlreadyExists(UserError):
    """There is already an object under a key that is written once."""


class Conflict(UserError):
    """The key no longer holds the generation that the swap expected."""


class Unavailable(UserError, OSError):
    """The storage did not answer in time, or not intelligibly; retrying later may help."""


class Refused(UserError, OSError):
    """The storage refused for a reason that somebody must fix: credentials, permissions, no such bucket."""


class Stored(NamedTuple):
    """An object without its content: its size in bytes, and a `mark` that changes with the content."""

    size: int
    mark: str


class Storage(Protocol):
    """Objects under keys. Writes are atomic: no reader ever sees part of an object."""

    root: object
    """As shown in messages."""

    def read(self, key: str) -> bytes:
        """Raises NotFound."""
        versioned = self.read_versioned(key)
        if versioned is None:
            raise NotFound(f"nothing is stored under {key!r} in {self.root}")
        return versioned[0]

    @abstractmethod
    def read_versioned(self, key: str) -> tuple[bytes, str] | None:
        """The bytes and their generation, to pass to `swap`; None if there is no object."""

    @abstractmethod
    def download(self, key: str, path: Path) -> None:
        """Copies an object of any size to a file, atomically. Raises NotFound."""

    @abstractmethod
    def open(self, key: str) -> BinaryIO:
        """To read from any place in it, of an object of any size. Raises NotFound."""

    @abstractmethod
    def describe(self, key: str) -> dict[str, Stored]:
        """By its key the object, or those of the folder, with this key. In order; empty if there are none.

        What is hidden, with a part that starts with '.', is not among them.

        Raises:
            UserError: one has a name that is no key, or a folder is a link: it would be passed over in silence.
        """

    @abstractmethod
    def write(self, key: str, data: bytes) -> None:
        """Replaces the object: the last writer wins. For keys that are written by `swap`, only `swap` is safe."""

    @abstractmethod
    def write_once(self, key: str, data: bytes) -> None:
        """Raises AlreadyExists; of several concurrent writers exactly one succeeds."""

    @abstractmethod
    def swap(self, key: str, data: bytes, expected: str | None) -> str:
        """Compare and swap: writes if the key still has generation `expected` (None: no object), else raises Conflict.

        Returns the new generation.
        """

    @abstractmethod
    def list(self, prefix: str = "") -> Keys:
        """All keys that start with `prefix`, sorted."""

    @abstractmethod
    def upload(self, folder: Path, prefix: str, names: Iterable[str] | None = None) -> None:
        """Copies the files `names` of `folder` (all of them by default) to keys below `prefix`."""

    @abstractmethod
    def remove(self, keys: Iterable[str]) -> None:
        """Removes the objects, in this order; keys without one are skipped."""

    @abstractmethod
    def folders(self, prefix: str = "") -> Keys:
        """The folders directly below `prefix` (empty, or ending with '/'), sorted; of a bucket the first thousand.

        The cost does not depend on the number of objects in them.
        """

    @abstractmethod
    def fetch(self, prefix: str, cache: Path, names: Collection[str] | None = None) -> Path:
        """A read-only local folder with the objects under `prefix`, or at least those of `names`.

        Raises NotFound if there are none.
        """


def is_hidden(name: str) -> bool:
    """Or is an empty folder's placeholder in a bucket."""
    return any(part.startswith(".") or not part for part in name.split("/"))


def check_key(key: str) -> str:
    """The key itself. Raises UserError if it is invalid, as one that points outside the root."""
    if not all(KEY_PART.fullmatch(part) for part in key.split("/")):
        raise UserError(
            f"{key!r} is not a storage key: parts joined by '/', none empty, starting with '.', ending with '.' or a "
            "blank, with ':' or '\\' in it, or named like a device of Windows"
        )
    if len(key.encode()) > _MOST_KEY_BYTES:
        raise UserError(f"the storage key {key[:40]!r}... is longer than {_MOST_KEY_BYTES} bytes")
    return key
