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
"""Files by which waiting segments are held open; the server's connections need some, too."""
_PROBE_BYTES = 2**16  # that a disk must still take
_LOCK = ".lock"
_PROBE = ".probe"
_SEGMENT = re.compile(rf"\d{{4}}-\d\d-\d\dT\d{{6}}-\d{{6}}Z\.{INSTANCE.pattern}-\d+\.jsonl")

logger = logging.getLogger(__name__)


class SpoolFolder:
    """Where a process keeps its segments. It holds a lock there for as long as it lives."""

    def __init__(self, spool: Path, instance: str) -> None:
        self.spool = spool
        self.path = spool / instance
        self.repairs = 0
        self._locked: Identity | None = None  # the lock's file
        self._alive = FileLock(self.path / _LOCK, timeout=0, thread_local=False)
        # held for the moment in which a folder is made, removed or taken over: so that none is seen half made
        self._scanning = FileLock(spool / _LOCK, timeout=10, poll_interval=0.01, thread_local=False)

    def open(self) -> list[Segment]:
        """Makes the folder. Returns what dead processes left in the spool, moved here, oldest first.

        Raises JournalError where the spool cannot be used.
        """
        try:
            self.spool.mkdir(parents=True, exist_ok=True)
            with self._scanning:
                self.ensure()
                return self._take_over()
        except OSError as wrong:
            raise JournalError(f"the journal's spool {self.spool} cannot be used: {wrong}") from wrong

    def ensure(self) -> None:
        """The folder and the lock are there, made again if something removed them. Raises OSError."""
        lock = self.path / _LOCK
        if self._locked is not None:
            if identity(lock) == self._locked:
                return
            self._alive.release()
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)  # what people sent may be private
        self._alive.acquire()
        if self._locked is not None:
            self.repaired(self.path)
        self._locked = identity(lock)

    def probe(self) -> None:
        """Raises OSError where the disk does not take a few more lines."""
        probe = self.path / _PROBE
        try:
            probe.write_bytes(bytes(_PROBE_BYTES))
        finally:
            probe.unlink(missing_ok=True)

    def touch(self) -> None:
        """Keeps it from cleaners, which go by age. Raises OSError."""
        os.utime(self.path / _LOCK)

    def repaired(self, path: Path) -> None:
        """Counts and logs that something removed a part, which is there again."""
        self.repairs += 1
        logger.warning("%s was removed while it was in use, and is written again: nothing of it is lost", path)

    def close(self, *, empty: bool) -> None:
        """From here on another process may take it over; nothing is left of it where it is `empty`."""
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
            except Timeout:  # its process lives
                continue
            except OSError as wrong:
                logger.warning("the journal of the dead instance %s cannot be taken over: %s", folder, wrong)
        return sorted(segments, key=lambda segment: segment.path.name)


def _remove(folder: Path) -> None:
    with suppress(OSError):  # something else lies in it
        for name in (_LOCK, _PROBE):
            (folder / name).unlink(missing_ok=True)
        folder.rmdir()
