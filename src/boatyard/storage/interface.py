"""What every storage offers: objects under keys, below a root.

A key is a '/'-separated path below the root. A part that starts with '.' is never a key: that keeps `..`, the
temporary files and the locks out with one rule. Nor is what Windows takes for something else: a drive or a stream
(`D:x`), a device (`nul`, `com1.txt`), a name that ends with a dot or a blank.
"""
# an error's name says what happened:
# ruff: noqa: N818

import re
from abc import abstractmethod
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Protocol

from boatyard.config.errors import UserError

KEY_PART = re.compile(
    r"(?!(?i:aux|con|conin\$|conout\$|nul|prn|(?:com|lpt)[0-9\u00b9\u00b2\u00b3])\s*(?:\.|$))(?!\.)"
    r"[^/\\:\x00-\x1f\x7f\ud800-\udfff]+(?<![. ])"
)
_MOST_KEY_BYTES = 1024  # what Cloud Storage allows

Keys = list[str]  # a name of its own, because a method called `list` hides the type in the classes


class NotFound(UserError):
    """Nothing lies under the key."""


class AlreadyExists(UserError):
    """The key is taken, and was to be written once."""


class Conflict(UserError):
    """The key no longer holds the generation that the swap expected."""


class Unavailable(UserError, OSError):
    """The storage did not answer in time, or not what it can mean. Later it may."""


class Refused(UserError, OSError):
    """The storage does not let it be done. Somebody has to see to that: credentials, permissions, no such bucket."""


class Storage(Protocol):
    """What every storage offers. Writes are all or nothing: no reader ever sees half an object."""

    root: object
    """As it is named to people."""

    def read(self, key: str) -> bytes:
        """Raises NotFound."""
        found = self.read_versioned(key)
        if found is None:
            raise NotFound(f"nothing is stored under {key!r} in {self.root}")
        return found[0]

    @abstractmethod
    def read_versioned(self, key: str) -> tuple[bytes, str] | None:
        """The bytes and their generation, to hand to `swap`; None where nothing lies."""

    @abstractmethod
    def download(self, key: str, path: Path) -> None:
        """Copies an object of any size to a file, which appears whole or not at all. Raises NotFound."""

    @abstractmethod
    def write(self, key: str, data: bytes) -> None:
        """Replaces what is there: the last writer wins. For keys that `swap` moves, only `swap` is safe."""

    @abstractmethod
    def write_once(self, key: str, data: bytes) -> None:
        """Raises AlreadyExists; of several writers at once exactly one succeeds."""

    @abstractmethod
    def swap(self, key: str, data: bytes, expected: str | None) -> str:
        """Writes if the key still holds generation `expected` (None: nothing), else raises Conflict.

        Answers the new generation.
        """

    @abstractmethod
    def list(self, prefix: str = "") -> Keys:
        """Every key that starts with `prefix`, sorted."""

    @abstractmethod
    def upload(self, folder: Path, prefix: str, names: Iterable[str] | None = None) -> None:
        """Copies the files `names` of `folder` (all of them by default) to keys below `prefix`."""

    @abstractmethod
    def remove(self, keys: Iterable[str]) -> None:
        """Removes the keys, in their order; those that hold nothing are passed over."""

    @abstractmethod
    def folders(self, prefix: str = "") -> Keys:
        """The folders directly below `prefix` (empty, or with '/' at its end), sorted; of a bucket the first thousand.

        It costs the same however much lies in them.
        """

    @abstractmethod
    def fetch(self, prefix: str, cache: Path, names: Collection[str] | None = None) -> Path:
        """A local folder, to be read only, with what lies under `prefix`, or at least those of the `names`.

        Raises NotFound where there is nothing of it.
        """


def check_key(key: str) -> str:
    """The key itself, if it can never point outside the root; UserError otherwise."""
    if not all(KEY_PART.fullmatch(part) for part in key.split("/")):
        raise UserError(
            f"{key!r} is not a storage key: parts joined by '/', none empty, starting with '.', ending with '.' or a "
            "blank, with ':' or '\\' in it, or called as a device of Windows is"
        )
    if len(key.encode()) > _MOST_KEY_BYTES:
        raise UserError(f"the storage key {key[:40]!r}... is longer than {_MOST_KEY_BYTES} bytes")
    return key
