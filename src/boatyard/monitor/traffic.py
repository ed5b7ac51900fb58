"""The journal's predictions of one model and the feedback, cached in columns.

The journal's objects are immutable, so each is read once, and dropped when it is too old. A million rows take some tens
of megabytes: of the requests, only those that a look may still sample are cached.
"""

import heapq
import math
from bisect import bisect
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from boatyard.bundle.manifest import Card
from boatyard.journal import JournalError, read_object, shipped, whole
from boatyard.journal.columns import Column
from boatyard.journal.corrections import canonical, latest_feedback
from boatyard.storage import Storage

_FEEDBACK = np.dtype([("id", "S32"), ("time", "f8"), ("truth", "i4")])
MISSING_CATEGORY = ""


@dataclass(frozen=True)
class Sampled:
    """A prediction that a look may sample. `values`: by column; `request`: None if the journal does not have it."""

    id: str
    time: float
    version: str
    truncated: bool
    values: dict[str, Any]
    request: Any


@dataclass(frozen=True)
class _Read:
    """The content of one object."""

    predictions: NDArray[np.void]
    feedback: NDArray[np.void]


class Names:
    """Interned strings, numbered, so that a column of them is small."""

    def __init__(self) -> None:
        self.all: list[str] = []
        self._numbers: dict[str, int] = {}

    def number(self, name: str) -> int:
        """The name's number; a new name gets the next."""
        if (number := self._numbers.get(name)) is None:
            number = self._numbers[name] = len(self.all)
            self.all.append(name)
        return number


class Traffic:
    """The predictions of the last `days` by the model of that name, and the feedback.

    `card` and `columns`: of the watched version. Answers of another input or task under the same name have none of its
    columns. `sample`: the most predictions that a look samples. Ids are random, so the rows with the smallest ids are
    a random sample, and the smallest of several objects are one of all of them.
    """

    def __init__(self, storage: Storage, card: Card, columns: Sequence[Column], *, days: float, sample: int) -> None:
        self.model = card.name
        self.columns = columns
        self.categories = Names()
        self.truths = Names()
        """As canonical JSON."""
        self.versions = Names()
        self.rows_read = 0
        self._plugins = (card.input, card.task)
        self._storage = storage
        self._days = days
        self._sample_size = sample
        self._row = np.dtype(
            [
                ("id", "S32"),
                ("time", "f8"),  # seconds since 1970
                ("version", "i4"),
                ("truncated", "?"),
                ("duration_ms", "f4"),
                ("columns", [(column.name, "i4" if column.category else "f4") for column in columns]),
            ]
        )
        self._read: dict[str, _Read] = {}
        self._sample: list[Sampled] = []
        self._joined: NDArray[np.void] | None = None

    def serves(self, card: Card, columns: Sequence[Column]) -> bool:
        """Whether this traffic can be reused for a version with this card and these columns."""
        return self._plugins == (card.input, card.task) and _kinds(self.columns) == _kinds(columns)

    def refresh(self, now: datetime | None = None) -> int:
        """Read the new objects and drop the old ones; returns how many were read. Raises JournalError."""
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
            self._read[key], sample = self._read_object(key)
            self._sample += sample
            if len(self._sample) > most:
                self._sample = self._needed(oldest.timestamp())
                most = 4 * len(self._sample)  # pruning sorts, so it is done rarely
        return len(new)

    @property
    def predictions(self) -> NDArray[np.void]:
        """A record for each id, ordered by it: `id`, `time`, `version`, `truncated`, `duration_ms` and `columns`.

        `columns` has a field for each column: a float32, or a category's number in `categories`. A row of a job that
        two servers began is in the journal twice, with one id.
        """
        if self._joined is None:
            rows = np.concatenate([np.empty(0, self._row), *(read.predictions for read in self._read.values())])
            self._joined = rows[np.unique(rows["id"], return_index=True)[1]]
        return self._joined

    @property
    def feedback(self) -> NDArray[np.void]:
        """Records of `id`, `time` and `truth`, a number in `truths`: for each id the latest, ordered by id."""
        rows = np.concatenate([np.empty(0, _FEEDBACK), *(read.feedback for read in self._read.values())])
        return rows[latest_feedback(rows["id"], rows["time"], [self.truths.all[number] for number in rows["truth"]])]

    def values(self, predictions: NDArray[np.void]) -> Iterator[dict[str, Any]]:
        """For each prediction its values by column; a column that its answer lacks is absent."""
        names = [column.name for column in self.columns]
        for row in predictions["columns"].tolist():
            cells = (
                self.categories.all[cell] if column.category else cell
                for column, cell in zip(self.columns, row, strict=True)
            )
            yield {name: cell for name, cell in zip(names, cells, strict=True) if not _is_missing(cell)}

    def sample(self, version: str, since: float, until: float, rows: int) -> list[Sampled]:
        """At most so many predictions of the version, sampled at random from that period; ordered by id."""
        distinct = {one.id: one for one in self._sample if one.version == version and since <= one.time <= until}
        drawn = heapq.nsmallest(rows, distinct.values(), key=lambda one: one.id)
        return [replace(one, request=whole(one.request, self._storage)) for one in drawn]

    def _needed(self, oldest: float) -> list[Sampled]:
        """What a look may still sample: not a row if enough newer rows of its version have smaller ids."""
        smallest: dict[str, list[str]] = defaultdict(list)  # by version the ids of that many rows, sorted
        needed = []
        for one in sorted(self._sample, key=lambda one: one.time, reverse=True):
            ids = smallest[one.version]
            place = bisect(ids, one.id)
            if place < self._sample_size and one.time >= oldest:
                ids.insert(place, one.id)
                del ids[self._sample_size :]
                needed.append(one)
        return needed

    def _read_object(self, key: str) -> tuple[_Read, list[Sampled]]:
        """The content of the object, and a sample of it."""
        predictions: list[tuple[Any, ...]] = []
        feedback: list[tuple[Any, ...]] = []
        kept: list[tuple[str, Mapping[str, Any]]] = []
        lines = 0
        try:
            for line in read_object(self._storage, key):
                lines += 1
                if line["event"] == "feedback":
                    feedback.append((line["id"], _seconds(line["time"]), self.truths.number(canonical(line["truth"]))))
                elif line["event"] == "prediction" and line["model"] == self.model:
                    predictions.append(self._record(line))
                    kept.append((line["id"], line))
                    if len(kept) >= 4 * self._sample_size:  # so that not all of a large object is held
                        kept = heapq.nsmallest(self._sample_size, kept, key=lambda pair: pair[0])
            read = _Read(np.array(predictions, self._row), np.array(feedback, _FEEDBACK))
            drawn = heapq.nsmallest(self._sample_size, kept, key=lambda pair: pair[0])
            sample = [self._sampled(line) for _, line in drawn]
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise JournalError(f"{key}, up to line {lines}, was not written by a server: {error!r}") from None
        self.rows_read += lines
        return read, sample

    def _record(self, line: Mapping[str, Any]) -> tuple[Any, ...]:
        values = self._values(line)
        return (
            line["id"],
            _seconds(line["time"]),
            self.versions.number(line["version"]),
            line["truncated"],
            line["duration_ms"],
            tuple(
                self.categories.number(value) if column.category else value
                for column, value in zip(self.columns, values, strict=True)
            ),
        )

    def _sampled(self, line: Mapping[str, Any]) -> Sampled:
        return Sampled(
            id=line["id"],
            time=_seconds(line["time"]),
            version=line["version"],
            truncated=line["truncated"],
            values={column.name: value for column, value in zip(self.columns, self._values(line), strict=True)},
            request=line.get("request"),
        )

    def _values(self, line: Mapping[str, Any]) -> list[Any]:
        """In the order of the columns; NaN or an empty string where the answer lacks one."""
        own = (line["input"], line["task"]) == self._plugins
        values = {**line["answer"], **line["measured"]} if own else {}
        return [
            (MISSING_CATEGORY if column.category else math.nan)
            if (value := values.get(column.name)) is None  # JSON has no word for NaN
            else value
            for column in self.columns
        ]


def _kinds(columns: Sequence[Column]) -> list[tuple[str, bool]]:
    return [(column.name, column.category) for column in columns]


def _is_missing(cell: str | float) -> bool:
    return cell == MISSING_CATEGORY if isinstance(cell, str) else math.isnan(cell)


def _seconds(time: str) -> float:
    return datetime.fromisoformat(time).timestamp()
