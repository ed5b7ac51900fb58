"""Rows with their truths from the journal: requests, and the feedback on their answers."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from boatyard import inputs, tasks
from boatyard.config.errors import UserError
from boatyard.config.schema import Data
from boatyard.data.ledger import content_hash
from boatyard.data.stored import as_stored
from boatyard.inputs.protocol import OpenInput
from boatyard.inputs.training_protocol import EXTENT, TARGET, Problem, TrainingInput
from boatyard.journal import JournalError
from boatyard.journal.corrections import canonical, latest_feedback
from boatyard.tasks.protocol import OpenTask, Truth

Row = Sequence[Any]
Judged = tuple[Row, Truth]
Lines = Callable[[], Iterable[Mapping[str, Any]]]
"""Reads the journal from its start, each time it is called."""


@dataclass(frozen=True)
class Feedback:
    """Rows to train on, and held-out rows that no model was trained on; and why others are neither."""

    train: list[Judged]
    held_out: list[Judged]
    set_aside: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Reader:
    """Turns a request and a truth from the journal into a training row.

    `read`: parses stored cells; `cell`: what a source would hold for a truth, if that says what is right; `target`:
    what training makes of that cell beside that row; `whole`: puts into a request what lies beside the journal.
    """

    served: OpenInput[Any, Any]
    training: TrainingInput
    task: OpenTask
    fields: Sequence[str]
    read: Callable[[Mapping[str, Any]], tuple[Any, ...] | Problem]
    cell: Callable[[Truth], Any] = lambda truth: truth
    target: Callable[[Row, Any], object | Problem] = lambda _, cell: cell
    whole: Callable[[object], object] = lambda request: request

    def row(self, request: object) -> Row | str:
        """The row, or why it cannot be used."""
        try:
            sent = self.whole(request)
        except JournalError:
            return "whose input is no longer kept"
        try:
            row = self.read(self.training.request(self.fields, self.served.parse(sent)))
        except UserError:
            return "whose input the model no longer takes"
        return "whose input training does not take" if isinstance(row, Problem) else row

    def truth(self, written: str) -> str | None:
        """The canonical form of what feedback says, in canonical JSON; None where the model does not know it."""
        try:
            return canonical(self.task.parse_truth(json.loads(written)))
        except UserError:
            return None


def open_reader(
    data: Data,
    fields: Sequence[str],
    served: OpenInput[Any, Any],
    task: OpenTask,
    whole: Callable[[object], object] = lambda request: request,
) -> Reader:
    """Of rows as they will be stored beside those of `data`, which have these fields."""
    data, training = as_stored(data, ""), inputs.training(data.input)
    format_, targets = training.row_format(data), tasks.training(data.task).open_targets(data)

    def read_target(row: Row, cell: Any) -> object:
        extent = {} if format_.extent is None else {EXTENT: format_.extent(tuple(row))}
        return targets.read({TARGET: cell, **extent})

    cell = tasks.training(data.task).cell
    return Reader(served, training, task, fields, format_.read, cell, read_target, whole)


def collect(lines: Lines, name: str, reader: Reader, known: Mapping[int, str], holdout: float) -> Feedback:
    """What feedback says of model `name`.

    The journal is read twice, feedback first, so that only judged predictions are held in memory, in whatever order the
    lines are.

    Of several truths for one answer the latest counts. A row that says the same as another (by its group key) counts
    once; where their truths differ, neither counts. Rows of `known` (`splits_by_key`) are not taken again: what
    is in a test set must not be learned. A row is held out by a hash of its group key, so it always is.

    Raises:
        UserError: there is feedback, but the journal does not keep requests.
    """
    set_aside: Counter[str] = Counter()
    truths = _truths(lines())
    groups = _Groups(reader, set_aside)
    judged: set[str] = set()
    for id_, request in _requests(lines(), name, truths.keys()):
        if id_ not in judged:
            judged.add(id_)
            groups.add(request, truths[id_])
    if unasked := len(truths) - len(judged):
        set_aside["about an answer of another model, or one whose input was not kept"] += unasked
    return _split(groups.truths_of_rows(), known, holdout, set_aside)


def splits_by_key(training: TrainingInput, splits: Mapping[str, Iterable[Row]]) -> dict[int, str]:
    """The split in which rows of each group key are, by its hash; of several the last."""
    return {content_hash(training.group_key(row)): split for split, rows in splits.items() for row in rows}


def _truths(lines: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """By answer, the truth that counts, in canonical JSON."""
    try:
        feedback = [
            (line["id"], datetime.fromisoformat(line["time"]).timestamp(), canonical(line["truth"]))
            for line in lines
            if line.get("event") == "feedback"
        ]
    except (KeyError, TypeError, ValueError) as wrong:
        raise UserError(f"the journal holds feedback that was not written by a server: {wrong!r}") from None
    if not feedback:
        return {}
    ids, times, truths = zip(*feedback, strict=True)
    return {ids[position]: truths[position] for position in latest_feedback(ids, times, truths)}


def _requests(lines: Iterable[Mapping[str, Any]], name: str, judged: Iterable[str]) -> Iterable[tuple[str, object]]:
    """The id and the request of each prediction by the model that somebody judged."""
    wanted, kept, dropped = set(judged), 0, 0
    for line in lines:
        if line.get("event") == "prediction" and line.get("model") == name and line["id"] in wanted:
            if "request" in line:
                kept += 1
                yield line["id"], line["request"]
            else:
                dropped += 1
    if dropped and not kept:
        raise UserError(f"the journal holds no inputs of {name}: serve with BOATYARD_JOURNAL_INPUT=stored")


class _Groups:
    """Rows by group key, with all their truths."""

    def __init__(self, reader: Reader, set_aside: Counter[str]) -> None:
        self._reader = reader
        self._set_aside = set_aside
        self._rows: dict[bytes, tuple[Row, set[str]]] = {}

    def add(self, request: object, written: str) -> None:
        """Adds the row, or counts why it cannot be used."""
        if (truth := self._reader.truth(written)) is None:
            self._set_aside["with a truth that the model does not know"] += 1
        elif (cell := self._reader.cell(json.loads(truth))) is None:
            self._set_aside["with feedback that does not say what would be right"] += 1
        elif isinstance(row := self._reader.row(request), str):
            self._set_aside[row] += 1
        elif isinstance(self._reader.target(row, cell), Problem):
            self._set_aside["with a truth that cannot be one of its input"] += 1
        else:
            key = self._reader.training.group_key(row)
            if key in self._rows:
                self._set_aside["asked before"] += 1
            before, truths = self._rows.get(key, (row, set[str]()))
            self._rows[key] = min(before, row, key=repr), truths | {truth}  # the same in whatever order they are read

    def truths_of_rows(self) -> list[tuple[bytes, Row, set[str]]]:
        """By group key, so that the data version does not depend on the order of feedback."""
        return [(key, *self._rows[key]) for key in sorted(self._rows)]


def _split(
    rows: Iterable[tuple[bytes, Row, set[str]]], known: Mapping[int, str], holdout: float, set_aside: Counter[str]
) -> Feedback:
    feedback = Feedback([], [], set_aside)
    for key, row, truths in rows:
        number = content_hash(key)
        if number in known:
            set_aside[f"in the {known[number]} split already"] += 1
        elif len(truths) > 1:
            set_aside["with several truths"] += 1
        else:
            chosen = feedback.held_out if number / 2.0**64 < holdout else feedback.train
            chosen.append((row, json.loads(next(iter(truths)))))
    return feedback
