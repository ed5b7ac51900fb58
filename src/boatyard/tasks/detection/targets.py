"""The boxes of the pictures that are being prepared: read, checked, counted."""

import json
from array import array
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from boatyard.data.ledger import TRAIN, Findings, Ledger, content_hash
from boatyard.inputs.texts import normal_form
from boatyard.inputs.training_protocol import EXTENT, Problem
from boatyard.tasks.defaults import target_column, target_columns  # noqa: F401 - target_columns for `training`
from boatyard.tasks.detection.boxes import BOX, LABEL, Objects, WrongBox, read_objects
from boatyard.tasks.protocol import Target, Truth

NUMBERS = 5
"""Of a box as it is stored: its class's place, left, top, right, bottom."""
_GROUPS = (
    (0, "nothing"),
    (1, "one object"),
    (3, "2 or 3 objects"),
    (6, "4 to 6 objects"),
    (2**31, "7 objects or more"),
)


def open_targets(data: Any) -> "AllObjects":
    """Of the column `data.target`."""
    return AllObjects(target_column(data), [normal_form(name) for name in data.classes], data.min_boxes_per_class)


def refusal(target: Target) -> str | None:
    """There must be something to find."""
    return None if target["classes"] else "no picture with a box is left to train on"


def boxes_of(stored: Any) -> NDArray[np.float32]:
    """[boxes, NUMBERS], of a stored target."""
    return np.asarray(stored, np.float32).reshape(-1, NUMBERS)


def truth(stored: Any, target: Target) -> Truth:
    """`stored`: the numbers of each box."""
    return {
        "objects": [
            {LABEL: target["classes"][int(each[0])], BOX: [round(float(edge), 2) for edge in each[1:]]}
            for each in boxes_of(stored)
        ]
    }


def cell(truth: Truth) -> Any:
    """The objects, if it names them."""
    return truth.get("objects")


class AllObjects:
    """The objects of each picture. `classes`: those that there may be, where given; `least`: boxes in training."""

    noun = "list of objects"
    contradictory: Literal["error", "warning"] = "error"

    def __init__(self, column: str, classes: Sequence[str], least: int) -> None:
        self.column = column
        self._classes = classes
        self._least = least
        self._rows: list[Objects] = []
        self._hashes = array("q")
        self.values: NDArray[np.int64] = np.zeros(0, np.int64)

    def read(self, cells: Mapping[str, Any]) -> Objects | Problem:
        """A list of objects, or its JSON, in a picture of the size that EXTENT says."""
        given = cells.get(self.column)
        if isinstance(given, str):
            try:
                given = json.loads(given)
            except (ValueError, RecursionError):
                return Problem("no_objects", self.column, "holds a text that is no JSON list of objects")
        if not isinstance(given, Sequence) or isinstance(given, str):
            return Problem("no_objects", self.column, "holds no list of objects; one without any says []")
        try:
            objects = read_objects(given, cells[EXTENT])
        except WrongBox as wrong:
            return Problem("box", self.column, f"has a box that cannot be: {wrong}")
        objects = objects._replace(labels=[normal_form(label) for label in objects.labels])
        for label in objects.labels:
            if self._classes and label not in self._classes:
                known = ", ".join(self._classes)
                return Problem("unknown_class", self.column, f"has a {label!r}; data.classes are {known}")
        return objects

    def append(self, objects: Objects) -> None:
        """Keep it."""
        self._rows.append(objects)
        same = sorted(zip(objects.labels, objects.boxes.tolist(), strict=True))
        self._hashes.append(content_hash(json.dumps(same).encode()) >> 1)  # an int64 has no room for the last bit

    def close(self) -> None:
        """Turn hashes of the objects into `values`."""
        self.values = np.asarray(self._hashes)

    def knows(self, cells: Mapping[str, Any]) -> bool:
        """Whether the column holds a list."""
        return isinstance(cells.get(self.column), list)

    def contradiction(self, rows: NDArray[np.int64]) -> tuple[int, int] | None:
        """The first, and the next that has other objects."""
        others = rows[self.values[rows] != self.values[rows[:1]]]
        return (int(rows[0]), int(others[0])) if len(others) else None

    def shown(self, index: int) -> str:
        """How many of each label."""
        labels, counts = np.unique(np.array(self._rows[index].labels, object), return_counts=True)
        return ", ".join(f"{count} {label}" for label, count in zip(labels, counts, strict=True)) or "nothing"

    def cell(self, index: int) -> str:
        """As JSON."""
        objects = self._rows[index]
        pairs = zip(objects.labels, objects.boxes.tolist(), strict=True)
        return json.dumps([{LABEL: label, BOX: box} for label, box in pairs], ensure_ascii=False)

    def group(self, index: int) -> str:
        """By how many objects there are."""
        count = len(self._rows[index].labels)
        return next(name for most, name in _GROUPS if count <= most)

    def check(self, ledger: Ledger, findings: Findings, usable: NDArray[np.bool_]) -> dict[int, str]:
        """Tell what was put right; find labels that training never sees or sees too seldom."""
        for index in np.flatnonzero(usable).tolist():
            for kind, remark in self._rows[index].remarks:
                findings.add(ledger.issue(index, "warning", kind, self.column, remark))
        unusable: dict[int, str] = {}
        counts = self._counts(usable & (ledger.split == TRAIN))
        for label, bearers in self._bearers(usable).items():
            if counts.get(label, 0) < self._least:
                boxes = f"{counts.get(label, 0)} boxes in training; the least is {self._least}"
                message = f"{label!r} has {boxes}"
                place = f"{message} (data.min_boxes_per_class)"
                findings.add(ledger.issue(bearers[0], "error", "rare_class", self.column, place))
                unusable |= dict.fromkeys(bearers, message)
        return unusable

    def essential(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], str]:
        """A picture of each class."""
        first: dict[str, int] = {}
        for place, index in enumerate(rows.tolist()):
            for label in self._rows[index].labels:
                first.setdefault(label, place)
        needed = np.array(sorted(set(first.values())), np.int64)
        return needed, f"each of the {len(first)} classes needs a training picture"

    def facts(self, ledger: Ledger, usable: NDArray[np.bool_]) -> Target:  # noqa: ARG002 - every task's signature
        """The classes, sorted."""
        return {"classes": sorted(self._counts(usable))}

    def stored(self, target: Target) -> pa.Array:
        """NUMBERS of each box, one after another, list<float32>; -1 for a class that is not among them."""
        places = {label: place for place, label in enumerate(target["classes"])}
        return pa.array(
            [
                np.column_stack([[places.get(label, -1) for label in labels], boxes]).astype(np.float32).ravel()
                for labels, boxes, _ in self._rows
            ],
            pa.list_(pa.float32()),
        )

    def _labels(self, usable: NDArray[np.bool_]) -> Iterator[tuple[int, str]]:
        for index in np.flatnonzero(usable).tolist():
            yield from ((index, label) for label in self._rows[index].labels)

    def _counts(self, usable: NDArray[np.bool_]) -> dict[str, int]:
        counts: dict[str, int] = {}
        for _, label in self._labels(usable):
            counts[label] = counts.get(label, 0) + 1
        return counts

    def _bearers(self, usable: NDArray[np.bool_]) -> dict[str, list[int]]:
        bearers: dict[str, list[int]] = {}
        for index, label in self._labels(usable):
            rows = bearers.setdefault(label, [])
            if not rows or rows[-1] != index:
                rows.append(index)
        return bearers
