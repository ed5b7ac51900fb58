"""The folder of one process in the spool, which processes on one machine share."""

import logging
import os
import re
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from boatyard.journal.segment import Identity, JournalError, Segment, identity

INSTANCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}-[0-9a-f]{16}")
MOST_OPEN = 256
"""File descriptors for waiting segments; the server's connections need some, too."""
_PROBE_BYTES = 2**16  # that must fit on the disk
_LOCK = ".lock"
_PROBE = ".probe"
_SEGMENT = re.compile(rf"\d{{4}}-\d\d-\d\dT\d{{6}}-\d{{6}}Z\.{INSTANCE.pattern}-\d+\.jsonl")

logger = logging.getLogger(__name__)


class SpoolFolder:
    """The folder of a process's segments, in which it holds a lock while it runs."""

    def __init__(self, spool: Path, instance: str) -> None:
        self.spool = spool
        self.path = spool / instance
        self.repairs = 0
        self._locked: Identity | None = None  # the lock's file
        self._alive = FileLock(self.path / _LOCK, timeout=0, thread_local=False)
        # held while a folder is created, removed or taken over, so that none is seen half created
        self._scanning = FileLock(spool / _LOCK, timeout=10, poll_interval=0.01, thread_local=False)

    def open(self) -> list[Segment]:
        """Creates the folder. Returns the segments of dead processes, moved here, oldest first.

        Raises JournalError if the spool cannot be used.
        """
        try:
            self.spool.mkdir(parents=True, exist_ok=True)
            with self._scanning:
                self.ensure()
                return self._take_over()
        except OSError as wrong:
            raise JournalError(f"the journal's spool {self.spool} cannot be used: {wrong}") from wrong

    def ensure(self) -> None:
        """Recreates the folder and the lock if something removed them. Raises OSError."""
        lock = self.path / _LOCK
        if self._locked is not None:
            if identity(lock) == self._locked:
                return
            self._alive.release()
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)  # requests may be private
        self._alive.acquire()
        if self._locked is not None:
            self.repaired(self.path)
        self._locked = identity(lock)

    def probe(self) -> None:
        """Raises OSError if the disk has no room for a few more lines."""
        probe = self.path / _PROBE
        try:
            probe.write_bytes(bytes(_PROBE_BYTES))
        finally:
            probe.unlink(missing_ok=True)

    def touch(self) -> None:
        """Protects the folder from cleaners, which go by age. Raises OSError."""
        os.utime(self.path / _LOCK)

    def repaired(self, path: Path) -> None:
        """Counts and logs that a part was removed and has been restored."""
        self.repairs += 1
        logger.warning("%s was removed while it was in use, and has been restored: nothing is lost", path)

    def close(self, *, empty: bool) -> None:
        """Releases the lock, so that another process may take the folder over; removes it if it is `empty`."""
        with suppress(OSError), self._scanning:
            self._alive.release()
            if empty:
                _remove(self.path)

    def _take_over(self) -> list[Segment]:
        segments: list[Segment] = []
        for folder in self.spool.iterdir():
            if folder == self.path or not INSTANCE.fullmatch(folder.name):
                continue
            try:
                with FileLock(folder / _LOCK, timeout=0):
                    for path in [path for path in folder.iterdir() if _SEGMENT.fullmatch(path.name)]:
                        moved = path.rename(self.path / path.name)
                        segments.append(Segment(moved, size=moved.stat().st_size))
                        if len(segments) <= MOST_OPEN:
                            segments[-1].reopen()
                _remove(folder)
            except Timeout:  # its process is alive
                continue
            except OSError as wrong:
                logger.warning("the journal of the dead instance %s cannot be taken over: %s", folder, wrong)
        return sorted(segments, key=lambda segment: segment.path.name)


def _remove(folder: Path) -> None:
    with suppress(OSError):  # it has other files
        for name in (_LOCK, _PROBE):
            (folder / name).unlink(missing_ok=True)
        folder.rmdir()
