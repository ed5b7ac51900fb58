"""The journal's spool: lines are appended to local segments, which a thread ships to the storage."""

import errno
import gzip
import logging
import os
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex
from time import monotonic, time
from typing import Any

from pydantic_core import to_json

from boatyard.journal.folder import INSTANCE, MOST_OPEN, SpoolFolder
from boatyard.journal.large import put_aside
from boatyard.journal.segment import NEW, JournalError, Segment
from boatyard.storage import AlreadyExists, Storage

SEGMENT_BYTES = 8 * 2**20
SEGMENT_SECONDS = 60.0
MOST_SPOOLED_BYTES = 2**30
CHECK_SECONDS = 5.0
"""How often the spool is checked while nothing is appended."""
_FIRST_BACKOFF = 0.1  # seconds, doubled by each failure in a row
_MOST_BACKOFF = 30.0
_COMPRESSION = 3  # 6 saves another 7 % of the bytes, takes twice the time, and requests wait for the same cores
_STAMP = "%Y-%m-%dT%H%M%S-%fZ"

logger = logging.getLogger(__name__)


class JournalFull(JournalError):  # noqa: N818 - says what happened
    """The spool has reached its size limit: the storage is down or too slow."""


class Journal:
    """One process's journal. It is thread-safe; a forked child must not use it.

    `instance` names this process; a random part is added, because the second of two segments with the same name would
    pass for shipped. `most_spooled_bytes` limits this process's segments, not the spool that it shares.
    Raises JournalError if the spool cannot be used.
    """

    def __init__(
        self,
        storage: Storage,
        spool: Path,
        *,
        instance: str | None = None,
        segment_bytes: int = SEGMENT_BYTES,
        segment_seconds: float = SEGMENT_SECONDS,
        most_spooled_bytes: int = MOST_SPOOLED_BYTES,
    ) -> None:
        self.instance = _new_name(instance)
        self.failures = 0
        self.trouble: str | None = None
        """Why no line can be appended, as far as is known."""
        self._storage = storage
        self._segment_bytes = segment_bytes
        self._segment_seconds = segment_seconds
        self._most_spooled_bytes = most_spooled_bytes
        self._opened = 0  # segments, so far
        self._open: Segment | None = None
        self._due = 0.0  # when the open segment closes
        self._changed = threading.Condition(threading.Lock())  # guards the segments, the counts and the trouble
        self._backoff = _FIRST_BACKOFF
        self._retry_at = 0.0
        self._closed = False
        self._abandoned = False
        self._folder = SpoolFolder(spool.absolute(), self.instance)
        self._waiting = deque(self._folder.open())  # closed segments that are not shipped yet
        self._spooled_bytes = sum(segment.size for segment in self._waiting)
        self._shipper = threading.Thread(target=self._work, name="journal", daemon=True)
        self._shipper.start()

    @property
    def repairs(self) -> int:
        """How often a part of the spool was removed and restored."""
        return self._folder.repairs

    @property
    def spooled_bytes(self) -> int:
        """What is not shipped yet, including the open segment and those taken over from dead instances."""
        return self._spooled_bytes

    @property
    def lag_seconds(self) -> float:
        """The age of the oldest line that is not shipped yet; 0 if all are."""
        with self._changed:
            names = [segment.path.name for segment in (*self._waiting, self._open) if segment and segment.size]
        if not names:
            return 0.0
        opened = datetime.strptime(min(names).partition(".")[0], _STAMP).replace(tzinfo=UTC)
        return max(0.0, time() - opened.timestamp())

    def append(self, lines: Sequence[Mapping[str, Any]]) -> None:
        """Writes all the lines, or none and raises JournalError; ValueError if one cannot be JSON.

        Afterwards they survive the end of this process, including kill -9: the operating system has them. They do not
        survive a power failure: a segment is only synced to disk once it is closed, before it is shipped.
        """
        data = b"".join(to_json(dict(line), inf_nan_mode="null") + b"\n" for line in lines)
        with self._changed:
            self._check_room(len(data))
            try:
                self._end_segment_if_over()
                segment = self._open or self._begin_segment()
                if (written := os.write(segment.file, data)) < len(data):
                    raise OSError(errno.ENOSPC, f"only {written} of {len(data)} bytes could be written")
                segment.size += len(data)
                self._spooled_bytes += len(data)
            except BaseException as stopped:  # signals too: the next line must not continue half a line
                self._truncate()
                if isinstance(stopped, OSError):
                    raise self._unwritable(stopped) from stopped
                raise
            self.trouble = None
            if segment.size >= self._segment_bytes:
                self._end_segment()

    def check(self) -> None:
        """Raises JournalError if lines cannot be appended now. It probes the disk, and repairs what it can."""
        with self._changed:
            self._check_room(self._most_spooled_bytes // 1000)  # more than any request needs
            try:
                self._end_segment_if_over()
                self._folder.ensure()
                self._folder.probe()
            except OSError as wrong:
                raise self._unwritable(wrong) from wrong
            self.trouble = None

    @property
    def is_crowded(self) -> bool:
        """Whether over half of the spool is used: the rest is reserved for requests, whose clients wait."""
        return 2 * self._spooled_bytes > self._most_spooled_bytes

    def close(self, timeout: float) -> bool:
        """Ships what it can within `timeout` seconds; whether that was all. The rest is shipped after the next start.

        An attempt in progress gets half a second more; until it or the process ends, no other process takes over.
        """
        with self._changed:
            if not self._closed:
                self._end_segment()
                self._closed = True
                self._retry_at, self._backoff = 0.0, _FIRST_BACKOFF
                self._changed.notify_all()
        self._shipper.join(timeout)
        with self._changed:
            self._abandoned = True
            self._changed.notify_all()
        self._shipper.join(0.5)
        return not self._waiting

    def _check_room(self, size: int) -> None:
        if self._closed:
            raise JournalError("the journal is closed")
        if self._spooled_bytes + size > (most := self._most_spooled_bytes):
            self.trouble = f"{self._spooled_bytes} bytes of the journal wait to be shipped, of at most {most}"
            raise JournalFull(self.trouble)

    def _unwritable(self, wrong: OSError) -> JournalError:
        self.trouble = f"the journal's spool {self._folder.spool} cannot be written: {wrong}"
        return JournalError(self.trouble)

    def _begin_segment(self) -> Segment:
        self._folder.ensure()
        path = self._new_path()
        self._open = Segment(path, os.open(path, NEW, 0o600))
        self._due = monotonic() + self._segment_seconds
        self._changed.notify()
        return self._open

    def _new_path(self) -> Path:
        stamp = datetime.fromtimestamp(time(), UTC).strftime(_STAMP)
        self._opened += 1
        return (
            self._folder.path / f"{stamp}.{self.instance}-{self._opened:06}.jsonl"
        )  # zero-padded, so that names sort by age

    def _end_segment_if_over(self) -> None:
        """If its time is up, or its file was removed."""
        if self._open is not None and (monotonic() >= self._due or self._open.is_gone()):
            self._end_segment()

    def _end_segment(self) -> None:
        if self._open is not None:
            self._waiting.append(self._open)
            if len(self._waiting) > MOST_OPEN:
                self._open.close()
            self._open = None
            self._changed.notify()

    def _truncate(self) -> None:
        if self._open is not None:
            try:
                os.ftruncate(self._open.file, self._open.size)
            except OSError:
                self._end_segment()  # half a line is recognised at a segment's end
            else:
                if self._open.size and not self._waiting:  # shipping it at once frees space on a full disk
                    self._end_segment()

    def _work(self) -> None:
        while not self._is_over():
            self._repair_spool()
            if (segment := self._next()) is None:
                continue
            try:
                self._ship(segment)
            except Exception as error:  # shipping is retried after any error
                logger.warning("%s is not shipped yet, retrying in %g s: %s", segment.path, self._backoff, error)
                with self._changed:
                    self.failures += 1
                    self._retry_at, self._backoff = monotonic() + self._backoff, min(2 * self._backoff, _MOST_BACKOFF)
                    self._waiting.rotate(-1)  # one bad segment must not block the others
            else:
                with self._changed:
                    self._waiting.popleft()
                    self._spooled_bytes -= segment.size
                    self._retry_at, self._backoff = 0.0, _FIRST_BACKOFF
        self._repair_spool()  # the rest is left to the next start
        for segment in self._waiting:
            segment.close()
        self._folder.close(empty=not self._waiting)

    def _is_over(self) -> bool:
        with self._changed:
            return self._abandoned or (self._closed and not self._waiting)

    def _next(self) -> Segment | None:
        """The segment to ship, if one is due; else None, after a wait for one."""
        with self._changed:
            now = monotonic()
            if self._open is not None and now >= self._due:
                self._end_segment()
            if self._waiting and now >= self._retry_at:
                return self._waiting[0]
            if not self._abandoned and (self._waiting or not self._closed):
                moments = [self._retry_at] * bool(self._waiting) + [self._due] * (self._open is not None)
                self._changed.wait(min([*moments, now + CHECK_SECONDS]) - now)
            return None

    def _repair_spool(self) -> None:
        """Restores removed files; if that fails, they are still shipped from their open descriptors."""
        try:
            with self._changed:
                self._end_segment_if_over()
                self._folder.ensure()
                self._folder.touch()
                gone = [segment for segment in self._waiting if segment.is_gone()]
            for segment in gone:  # without the lock, which appends need: only this thread uses waiting segments
                segment.rewrite()
                self._folder.repaired(segment.path)
        except OSError as wrong:
            if self.trouble is None:
                logger.error("%s", self._unwritable(wrong))
        if self.trouble is not None:
            with suppress(JournalError):
                self.check()

    def _ship(self, segment: Segment) -> None:
        try:
            data = segment.read()
        except FileNotFoundError:  # there were more segments than can be held open
            logger.error("%s was removed before it was shipped: its lines are lost", segment.path)
            return
        lines = data[: data.rfind(b"\n") + 1]
        if torn := len(data) - len(lines):
            logger.warning("%s ends with %d bytes of a line that was never answered: dropped", segment.path, torn)
        if lines:
            self._write_once(segment.key(), put_aside(lines, self._storage))
        segment.remove()

    def _write_once(self, key: str, lines: bytes) -> None:
        try:
            self._storage.write_once(key, gzip.compress(lines, _COMPRESSION, mtime=0))
        except AlreadyExists:  # the process that shipped it ended before it removed it here
            shipped = gzip.decompress(self._storage.read(key))
            if len(lines) > len(shipped) and lines.startswith(
                shipped
            ):  # another process shipped it while lines were appended
                with self._changed:
                    rest = Segment(self._new_path())
                self._write_once(rest.key(), lines[len(shipped) :])


def _new_name(instance: str | None) -> str:
    name = f"{instance or datetime.now(UTC).strftime('%Y%m%dT%H%M%SZ')}-{token_hex(8)}"
    if not INSTANCE.fullmatch(name):
        raise JournalError(f"{instance!r} is no name for an instance: up to 64 of A-Z, a-z, 0-9, '-' and '_'")
    return name
