"""What is known of each row while it is prepared, and what is wrong with some."""

from array import array
from collections import Counter
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, Literal

import numpy as np

from boatyard.data.summary import Issue
from boatyard.inputs.sources import SPLITS

LISTED = 1000  # issues kept with their place; all are counted

TRAIN, VALIDATION, TEST = range(len(SPLITS))


def content_hash(content: bytes) -> int:
    """64 bits that stand for the content: among 10 million rows two collide with a chance of 3 in a million."""
    return int.from_bytes(blake2b(content, digest_size=8).digest(), "little")


class Findings:
    """Issues, all counted by severity and kind, the first thousand kept with their place."""

    def __init__(self) -> None:
        self.issues: list[Issue] = []
        self.counts: Counter[str] = Counter()
        self.first_error: Issue | None = None
        self.unreadable = 0  # rows that never reached the ledger

    def add(self, issue: Issue) -> None:
        """Count it; keep it while there is room."""
        self.counts[f"{issue.severity}:{issue.kind}"] += 1
        if issue.severity == "error" and self.first_error is None:
            self.first_error = issue
        if len(self.issues) < LISTED:
            self.issues.append(issue)

    @property
    def errors(self) -> int:
        """How many there are."""
        return sum(count for key, count in self.counts.items() if key.startswith("error:"))


class Ledger:
    """One line for each readable row, in 41 bytes: where it stands, its size, and its content as hashes.

    `draw`: what decides on its split where the source does not: a hash, or a day, counted from the year 1.
    """

    def __init__(self, sources: Sequence[str]) -> None:
        self.sources = sources
        self._source, self._row, self._split = array("i"), array("q"), array("b")
        self._size = array("i")
        self._exact, self._group, self._draw = array("Q"), array("Q"), array("Q")
        self._files: dict[int, str] = {}

    def add(
        self,
        source: int,
        row: int,
        split: int,
        size: int,
        exact: int,
        group: int,
        draw: int | None = None,
        file: str | None = None,
    ) -> None:
        """Append a line. `exact` and `group`: hashes of the row's content, and of what it says, which is the `draw` too
        unless another is given. `file`: the row's own.
        """
        if file is not None:
            self._files[len(self)] = file
        self._source.append(source)
        self._row.append(row)
        self._split.append(split)
        self._size.append(size)
        self._exact.append(exact)
        self._group.append(group)
        self._draw.append(group if draw is None else draw)

    def extend(self, others: "Ledger") -> None:
        """Append the lines of another one of the same sources."""
        self._files |= {len(self) + index: file for index, file in others._files.items()}
        for name, column in vars(self).items():
            if isinstance(column, array):
                column.extend(getattr(others, name))

    def __len__(self) -> int:
        return len(self._row)

    def close(self) -> None:
        """Turn the columns into arrays, [rows] each."""
        self.source = np.asarray(self._source)
        self.row = np.asarray(self._row)
        self.split = np.asarray(self._split).copy()
        self.size = np.asarray(self._size)
        self.exact = np.asarray(self._exact)
        self.group = np.asarray(self._group)
        self.draw = np.asarray(self._draw)

    def file(self, index: int | np.integer[Any]) -> str:
        """The row's own file, or else its source."""
        return self._files.get(int(index)) or self.sources[self.source[index]]

    def place(self, index: int | np.integer[Any]) -> str:
        """File and row, as messages say it."""
        return self._files.get(int(index)) or f"{self.file(index)} row {self.row[index]}"

    def issue(
        self,
        index: int | np.integer[Any],
        severity: Literal["error", "warning"],
        kind: str,
        column: str | None,
        message: str,
    ) -> Issue:
        """What is wrong with that row."""
        return Issue(severity, kind, message, self.file(index), int(self.row[index]), column)
