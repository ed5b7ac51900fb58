"""A segment of the spool: a local file of lines, held open until it is shipped."""

import errno
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from boatyard.config.errors import UserError

ROOT = "journal/"
NEW = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)  # which only Windows has


class JournalError(UserError):
    """The journal cannot be read, or cannot be written, so the request must not be answered."""


Identity = tuple[int, int]
"""A file's device and inode."""


@dataclass(eq=False)
class Segment:
    """Lines of one process. `file`: the descriptor that holds the file open, or -1."""

    path: Path
    file: int = -1
    size: int = 0
    _identity: Identity | None = None

    def __post_init__(self) -> None:
        if self.file >= 0:
            self._hold(self.file)

    def key(self) -> str:
        """The key of its object in the storage."""
        stamp, _, name = self.path.name.partition(".")
        return f"{ROOT}date={stamp.partition('T')[0]}/{name}.gz"

    def is_gone(self) -> bool:
        """Whether the open file is no longer at the path."""
        return self._identity is not None and identity(self.path) != self._identity

    def reopen(self) -> None:
        """Opens it again, if possible."""
        with suppress(OSError):
            self._hold(os.open(self.path, os.O_RDWR | getattr(os, "O_BINARY", 0)))

    def close(self) -> None:
        """Closes the descriptor."""
        if self.file >= 0:
            with suppress(OSError):
                os.close(self.file)
            self.file, self._identity = -1, None

    def read(self) -> bytes:
        """All of it, synced to the disk."""
        if self.file < 0:
            with self.path.open("r+b") as file:
                os.fsync(file.fileno())
                return file.read()
        os.fsync(self.file)
        with os.fdopen(os.dup(self.file), "rb") as file:
            file.seek(0)
            return file.read()

    def rewrite(self) -> None:
        """Writes a copy to the path, and holds that open instead. Raises OSError."""
        data = self.read()
        self.path.unlink(missing_ok=True)
        copy = os.open(self.path, NEW, 0o600)
        try:
            if (written := os.write(copy, data)) < len(data):
                raise OSError(errno.ENOSPC, f"only {written} of {len(data)} bytes could be written")
        except OSError:
            os.close(copy)
            self.path.unlink(missing_ok=True)
            raise
        self.close()
        self._hold(copy)

    def remove(self) -> None:
        """Removes the file, after it was shipped."""
        gone = self.is_gone()
        self.close()
        if not gone:  # otherwise the file there is not ours
            self.path.unlink(missing_ok=True)

    def _hold(self, file: int) -> None:
        self.file = file
        status = os.fstat(file)
        self._identity = status.st_dev, status.st_ino


def identity(path: Path) -> Identity | None:
    """None if there is no such file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
