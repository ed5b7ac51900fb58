"""What is said of a run while it goes on: how far it is, how fast, and when it will end."""

import logging
import time
from datetime import timedelta

from boatyard.score.work import Done

SECONDS = 10.0
"""Between two lines."""

log = logging.getLogger(__name__)


class Progress:
    """`rows`: of all blocks; `left`: of those that are not there yet."""

    def __init__(self, rows: int, left: int) -> None:
        self._all, self._left = rows, left
        self._done = self.bad = 0
        self._started = time.monotonic()

    def add(self, done: Done) -> None:
        """Another block is written."""
        now = time.monotonic()
        if not self._done:  # starting Ray's actors, and the first block, are no measure of the rest
            self._first, self._said = (now, done.rows), now
        self._done += done.rows
        self.bad += done.bad
        if now - self._said >= SECONDS and self._done < self._left:
            self._said = now
            log.info("%s", self._line(now))

    def end(self, out: str) -> None:
        """Nothing is left."""
        seconds = time.monotonic() - self._started
        rate = f", {self._done / seconds:,.0f} rows/s" if self._done else ""
        rows = f"{self._all:,} row{'' if self._all == 1 else 's'}"
        log.info("%s is complete: %s, %s scored now in %s%s", out, rows, f"{self._done:,}", _time(seconds), rate)

    def _line(self, now: float) -> str:
        since, before = self._first
        rate = (self._done - before) / (now - since)
        to_do = self._left - self._done
        rows = self._all - to_do
        return (
            f"{rows:,} of {self._all:,} rows ({rows / self._all:.0%}), {rate:,.0f} rows/s, "
            f"about {_time(to_do / rate)} left"
        )


def _time(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
