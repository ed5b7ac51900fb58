"""A segment of the spool: lines that wait in a local file, held open until they are shipped."""

import errno
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from boatyard.config.errors import UserError

ROOT = "journal/"
NEW = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)  # which Windows alone has


class JournalError(UserError):
    """The journal could not take a line, which must then not be answered, or could not be read."""


Identity = tuple[int, int]
"""A file's device and inode."""


@dataclass(eq=False)
class Segment:
    """Some lines of one process. `file`: the descriptor that holds it open, or -1."""

    path: Path
    file: int = -1
    size: int = 0
    _identity: Identity | None = None

    def __post_init__(self) -> None:
        if self.file >= 0:
            self._hold(self.file)

    def key(self) -> str:
        """What its object in the storage is called."""
        stamp, _, name = self.path.name.partition(".")
        return f"{ROOT}date={stamp.partition('T')[0]}/{name}.gz"

    def is_gone(self) -> bool:
        """Whether what is held open does not lie at the path any more."""
        return self._identity is not None and identity(self.path) != self._identity

    def reopen(self) -> None:
        """Holds it open, where that can be."""
        with suppress(OSError):
            self._hold(os.open(self.path, os.O_RDWR | getattr(os, "O_BINARY", 0)))

    def close(self) -> None:
        """From here on there is only what lies at the path."""
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
        """Puts a copy at the path, and holds that open instead. Raises OSError."""
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
        """Once it is shipped."""
        gone = self.is_gone()
        self.close()
        if not gone:  # else what lies there is not ours
            self.path.unlink(missing_ok=True)

    def _hold(self, file: int) -> None:
        self.file = file
        status = os.fstat(file)
        self._identity = status.st_dev, status.st_ino


def identity(path: Path) -> Identity | None:
    """None where nothing lies there that could be looked at."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
