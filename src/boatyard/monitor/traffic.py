"""What the journal holds of one model, read once and kept in columns.

An object of the journal never changes, so each is read once, and is forgotten when it is too old. A million rows take
some tens of megabytes: of what clients sent, only what a look may still draw is kept.
"""

import heapq
from bisect import bisect
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from boatyard.inputs.texts import normal_form
from boatyard.journal import JournalError, read_object, shipped
from boatyard.journal.corrections import which_count
from boatyard.storage import Storage

_COLUMNS = np.dtype(
    [
        ("id", "S32"),
        ("time", "f8"),  # seconds since 1970
        ("version", "i4"),
        ("label", "i4"),
        ("score", "f4"),
        ("length", "i4"),
        ("duration_ms", "f4"),
    ]
)
_FEEDBACK = np.dtype([("id", "S32"), ("time", "f8"), ("label", "i4")])


@dataclass(frozen=True)
class Sampled:
    """A prediction that a look may draw, with what the client sent; None where it is not kept."""

    id: str
    time: float
    version: str
    label: str
    score: float
    length: int
    truncated: bool
    input: Any


@dataclass(frozen=True)
class _Read:
    """What one object holds."""

    predictions: NDArray[np.void]
    feedback: NDArray[np.void]


class Names:
    """Strings by number, so that a column of them is small."""

    def __init__(self) -> None:
        self.all: list[str] = []
        self._number: dict[str, int] = {}

    def number(self, name: str) -> int:
        """Of the name; a new one gets the next."""
        if (found := self._number.get(name)) is None:
            found = self._number[name] = len(self.all)
            self.all.append(name)
        return found

    def numbers(self, labels: Iterable[str]) -> list[int]:
        """Of the normal form of each."""
        return [self.number(normal_form(label)) for label in labels]

    def normal(self) -> NDArray[np.intp]:
        """By number, that of the name's normal form."""
        return np.array(self.numbers(tuple(self.all)), dtype=np.intp)


class Traffic:
    """The predictions of `model` and the feedback of the last `days`.

    `sample`: how many inputs a look draws at most. Ids are random, so the rows with the least ids are a fair draw, and
    the least of several objects are one of all of them.
    """

    def __init__(self, storage: Storage, model: str, *, days: float, sample: int) -> None:
        self.model = model
        self.labels = Names()
        self.versions = Names()
        self.rows_read = 0
        self._storage = storage
        self._days = days
        self._most = sample
        self._read: dict[str, _Read] = {}
        self._sample: list[Sampled] = []
        self._joined: NDArray[np.void] | None = None

    def refresh(self, now: datetime | None = None) -> int:
        """Reads what is new and forgets what is old; how many objects were read. Raises JournalError."""
        oldest = (now or datetime.now(UTC)) - timedelta(days=self._days)
        keys = shipped(self._storage, since=oldest.date() - timedelta(days=1))
        old = self._read.keys() - set(keys)
        new = [key for key in keys if key not in self._read]
        if old or new:
            self._joined = None
        for key in old:
            del self._read[key]
        most = 0
        for key in new:
            self._read[key], sample = self._digest(key)
            self._sample += sample
            if len(self._sample) > most:
                self._sample = self._needed(oldest.timestamp())
                most = 4 * len(self._sample)  # seldom: it sorts
        return len(new)

    @property
    def predictions(self) -> NDArray[np.void]:
        """Columns `id`, `time`, `version`, `label`, `score`, `length` and `duration_ms`; ordered by id, each once.

        A row of a job that two servers began is in the journal twice, with one id.
        """
        if self._joined is None:
            rows = np.concatenate([np.empty(0, _COLUMNS), *(read.predictions for read in self._read.values())])
            self._joined = rows[np.unique(rows["id"], return_index=True)[1]]
        return self._joined

    @property
    def feedback(self) -> NDArray[np.void]:
        """Columns `id`, `time` and `label`: of one id the latest that was said, ordered by id."""
        said = np.concatenate([np.empty(0, _FEEDBACK), *(read.feedback for read in self._read.values())])
        return said[which_count(said["id"], said["time"], [self.labels.all[number] for number in said["label"]])]

    def sample(self, version: str, since: float, until: float, rows: int) -> list[Sampled]:
        """At most so many predictions of the version, drawn from the time between; ordered by id."""
        distinct = {one.id: one for one in self._sample if one.version == version and since <= one.time <= until}
        return heapq.nsmallest(rows, distinct.values(), key=lambda one: one.id)

    def _needed(self, oldest: float) -> list[Sampled]:
        """What a look may still draw: a row is out once so many newer ones of its version have lesser ids."""
        least: dict[str, list[str]] = defaultdict(list)  # by version, the ids of so many, sorted
        needed = []
        for one in sorted(self._sample, key=lambda one: one.time, reverse=True):
            ids = least[one.version]
            place = bisect(ids, one.id)
            if place < self._most and one.time >= oldest:
                ids.insert(place, one.id)
                del ids[self._most :]
                needed.append(one)
        return needed

    def _digest(self, key: str) -> tuple[_Read, list[Sampled]]:
        """What the object holds, and what may be drawn from it."""
        predictions: list[tuple[Any, ...]] = []
        feedback: list[tuple[Any, ...]] = []
        kept: list[tuple[str, Mapping[str, Any]]] = []
        lines = 0
        try:
            for line in read_object(self._storage, key):
                lines += 1
                if line["event"] == "feedback":
                    feedback.append((line["id"], _seconds(line["time"]), self.labels.number(line["label"])))
                elif line["event"] == "prediction" and line["model"] == self.model:
                    predictions.append(
                        (
                            line["id"],
                            _seconds(line["time"]),
                            self.versions.number(line["version"]),
                            self.labels.number(line["label"]),
                            _number(line["score"]),
                            line["length"],
                            line["duration_ms"],
                        )
                    )
                    kept.append((line["id"], line))
                    if len(kept) >= 4 * self._most:  # so that not all of a large object is held
                        kept = heapq.nsmallest(self._most, kept, key=lambda pair: pair[0])
            read = _Read(np.array(predictions, _COLUMNS), np.array(feedback, _FEEDBACK))
            drawn = heapq.nsmallest(self._most, kept, key=lambda pair: pair[0])
            sample = [_sampled(line) for _, line in drawn]
        except (KeyError, TypeError, ValueError) as wrong:
            raise JournalError(f"{key}, up to line {lines}, holds what no server wrote: {wrong!r}") from None
        self.rows_read += lines
        return read, sample


def _sampled(line: Mapping[str, Any]) -> Sampled:
    return Sampled(
        id=line["id"],
        time=_seconds(line["time"]),
        version=line["version"],
        label=line["label"],
        score=_number(line["score"]),
        length=line["length"],
        truncated=line["truncated"],
        input=line.get("input"),
    )


def _number(score: float | None) -> float:
    return float("nan") if score is None else score  # JSON has no word for it


def _seconds(time: str) -> float:
    return datetime.fromisoformat(time).timestamp()
