"""The labels of the rows that are being prepared: read, counted, compared."""

from array import array
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from boatyard.data.ledger import TRAIN, Findings, Ledger
from boatyard.inputs.records import NOT_UTF_8, is_missing
from boatyard.inputs.texts import UNDECODABLE, is_blank, is_encodable, look, normal_form
from boatyard.inputs.training_protocol import Problem
from boatyard.tasks.classification.serving import LONGEST_LABEL
from boatyard.tasks.protocol import Target, Truth


def open_targets(data: Any) -> "Labels":
    """Of the column `data.target`."""
    return Labels(normal_form(data.target), data.min_rows_per_label)


def target_columns(data: Any) -> list[str]:
    """One."""
    return [normal_form(data.target)]


def refusal(target: Target) -> str | None:
    """There must be a choice."""
    labels = target["labels"]
    return None if len(labels) > 1 else f"a classifier needs at least two labels, found {labels}"


def truth(stored: Any, target: Target) -> Truth:
    """`stored`: a position among the labels."""
    return {"label": target["labels"][int(stored)]}


def cell(truth: Truth) -> Any:
    """The label."""
    return truth["label"]


class Labels:
    """Labels by number, in the order of their first rows. `least`: rows in training that a label needs."""

    noun = "label"
    contradictory: Literal["error", "warning"] = "error"

    def __init__(self, column: str, least: int) -> None:
        self.column = column
        self._least = least
        self._numbers: dict[str, int] = {}
        self._of_rows = array("i")
        self._names: list[str] = []
        self.values: NDArray[np.int32] = np.zeros(0, np.int32)

    def read(self, cells: Mapping[str, Any]) -> str | Problem:
        """Class numbers and truth values are labels too, once they are written out."""
        value = cells.get(self.column)
        if is_missing(value):
            return Problem("missing_column", self.column, "has no value; every row needs one")
        if isinstance(value, int | float | Decimal):
            return str(value)
        if not isinstance(value, str):
            return Problem("not_text", self.column, f"holds a {type(value).__name__}; expected text")
        if is_blank(value):
            return Problem("empty", self.column, "is empty; every row needs a label")
        if not is_encodable(value):
            undecoded = UNDECODABLE.search(value) is not None
            what = f"bytes that are {NOT_UTF_8}" if undecoded else "half of a surrogate pair, which is no character"
            return Problem("bad_bytes", self.column, f"holds {what}")
        label = normal_form(value)
        if len(label) > LONGEST_LABEL:
            long = f"has {len(label):,} characters; a label may have {LONGEST_LABEL}: is it the column of the labels?"
            return Problem("long_label", self.column, long)
        return label

    def append(self, label: str) -> None:
        """Number a new one."""
        self._of_rows.append(self._numbers.setdefault(label, len(self._numbers)))

    def close(self) -> None:
        """Turn the numbers into `values`, int32[rows]."""
        self.values = np.asarray(self._of_rows)
        self._names = list(self._numbers)

    def knows(self, cells: Mapping[str, Any]) -> bool:
        """Whether the column holds a label that some row has."""
        value = cells.get(self.column)
        return isinstance(value, str) and normal_form(value) in self._numbers

    def contradiction(self, rows: NDArray[np.int64]) -> tuple[int, int] | None:
        """The first, and the next that has another label."""
        others = rows[self.values[rows] != self.values[rows[:1]]]
        return (int(rows[0]), int(others[0])) if len(others) else None

    def shown(self, index: int) -> str:
        """In quotes."""
        return repr(self.cell(index))

    def cell(self, index: int) -> str:
        """The label."""
        return self._names[int(self.values[index])]

    def group(self, index: int) -> str:
        """The label."""
        return self.cell(index)

    def check(self, ledger: Ledger, findings: Findings, usable: NDArray[np.bool_]) -> dict[int, str]:
        """Find labels that training never sees or sees too seldom, and warn of those that look alike."""
        unusable = self._rare(ledger, findings, usable)
        self._compare_spelling(ledger, findings)
        return unusable

    def essential(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], str]:
        """One row of each label."""
        _, first = np.unique(self.values[rows], return_index=True)
        return first, f"each of the {len(first)} labels needs a training row"

    def facts(self, ledger: Ledger, usable: NDArray[np.bool_]) -> Target:  # noqa: ARG002 - every task's signature
        """The labels, sorted."""
        return {"labels": sorted(self._names[number] for number in np.unique(self.values[usable]))}

    def stored(self, target: Target) -> pa.Array:
        """Positions among the labels, int32; -1 for a label that is not among them."""
        position = {label: place for place, label in enumerate(target["labels"])}
        places = np.array([position.get(label, -1) for label in self._names], np.int32)
        return pa.array(places[self.values])

    def _rare(self, ledger: Ledger, findings: Findings, usable: NDArray[np.bool_]) -> dict[int, str]:
        learnt = self.values[usable & (ledger.split == TRAIN)]
        counts = np.bincount(learnt, minlength=len(self._names))
        unusable: dict[int, str] = {}
        for number in np.flatnonzero(counts < self._least):
            bearers = np.flatnonzero(usable & (self.values == number)).tolist()
            if not bearers:
                continue
            label = self._names[number]
            if counts[number]:
                kind = "rare_label"
                message = f"{label!r} has {counts[number]} training rows; the least is {self._least}"
            else:
                kind, message = "unknown_label", f"{label!r} is the label of no training row"
            place = f"{message} (data.min_rows_per_label)"
            findings.add(ledger.issue(bearers[0], "error", kind, self.column, place))
            unusable |= dict.fromkeys(bearers, message)
        return unusable

    def _compare_spelling(self, ledger: Ledger, findings: Findings) -> None:
        """Find labels that people take for one."""
        rows = np.bincount(self.values, minlength=len(self._names))
        alike: dict[str, list[int]] = {}
        for number, label in enumerate(self._names):
            alike.setdefault(look(label), []).append(number)
        for numbers in alike.values():
            most = max(numbers, key=lambda number: rows[number])
            for number in numbers:
                if number == most:
                    continue
                label, other = self._names[number], self._names[most]
                shown = repr if label.casefold() == other.casefold() else ascii  # which names what cannot be seen
                counted = f"{rows[number]} and {rows[most]} rows"
                message = f"{shown(label)} looks like {shown(other)}, and is another: {counted}"
                first = int(np.argmax(self.values == number))
                findings.add(ledger.issue(first, "warning", "similar_labels", self.column, message))
