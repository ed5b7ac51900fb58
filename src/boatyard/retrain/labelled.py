"""Labelled rows from the journal: what was asked, with what people said was right."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from boatyard.config.errors import UserError
from boatyard.data.validate import check_texts, content_hash, folded
from boatyard.inputs.texts import normal_form
from boatyard.journal.corrections import which_count

Row = tuple[str, ...]


@dataclass(frozen=True)
class Labelled:
    """Rows to learn from and rows to be measured on, which no model has learned from; and why others are neither."""

    train: list[tuple[Row, str]]
    held_out: list[tuple[Row, str]]
    set_aside: Counter[str] = field(default_factory=Counter)


def labelled_rows(
    lines: Callable[[], Iterable[Mapping[str, Any]]],
    name: str,
    *,
    parse: Callable[[object], Row],
    words: Callable[[Row], Sequence[str]],
    labels: Sequence[str],
    known: Mapping[str, Sequence[tuple[Row, str]]],
    holdout: float,
) -> Labelled:
    """What feedback says of model `name`.

    `lines` reads the journal from its start. It is read twice, feedback first, so that of all predictions only those
    are held that somebody judged, whichever lines come first.

    Of several labels for one answer the latest counts. A row that says the same as another (`words`) counts once; where
    their labels differ, neither counts. Rows of `known` ("train", "validation", "test") are not taken again: what is
    in a test set must not be learned. A row is held out by a hash of its words, so it always is.

    Raises:
        UserError: there is feedback, but the journal does not keep what was asked.
    """
    truth, known_labels = _truth(lines()), set(labels)
    set_aside: Counter[str] = Counter()
    rows: dict[str, tuple[Row, set[str]]] = {}
    judged: set[str] = set()
    without_input = False
    for line in lines():
        if line.get("event") != "prediction" or line.get("model") != name or line["id"] not in truth:
            continue
        if "input" not in line:
            without_input = True
            continue
        if line["id"] in judged:
            continue
        judged.add(line["id"])
        label = truth[line["id"]]
        if label not in known_labels:
            set_aside["with a label that the model does not know"] += 1
            continue
        try:
            row = parse(line["input"])
        except UserError:
            set_aside["whose input the model no longer takes"] += 1
            continue
        if check_texts(row, row) is not None:
            set_aside["whose input training does not take"] += 1
            continue
        said = folded(words(row), row)
        if said in rows:
            set_aside["asked before"] += 1
        before, said_labels = rows.get(said, (row, set[str]()))
        rows[said] = min(before, row), said_labels | {label}  # the same in whatever order they are read
    if without_input and not judged:
        raise UserError(f"the journal holds no inputs of {name}: serve with BOATYARD_JOURNAL_INPUT=stored")
    if unasked := len(truth) - len(judged):
        set_aside["about an answer of another model, or one whose input was not kept"] += unasked
    return _split(rows, _known(known, words), holdout, set_aside)


def _truth(lines: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """By answer, the normal form of the label that counts."""
    try:
        said = [
            (line["id"], datetime.fromisoformat(line["time"]).timestamp(), line["label"])
            for line in lines
            if line.get("event") == "feedback"
        ]
    except (KeyError, TypeError, ValueError) as wrong:
        raise UserError(f"the journal holds feedback that no server wrote: {wrong!r}") from None
    if not said:
        return {}
    ids, times, labels = zip(*said, strict=True)
    return {ids[position]: normal_form(labels[position]) for position in which_count(ids, times, labels)}


def _known(known: Mapping[str, Sequence[tuple[Row, str]]], words: Callable[[Row], Sequence[str]]) -> dict[str, str]:
    return {
        folded(words(row), row): split
        for split in ("train", "validation", "test")  # a row of two splits belongs to the last
        for row, _ in known[split]
    }


def _split(
    rows: Mapping[str, tuple[Row, set[str]]], known: Mapping[str, str], holdout: float, set_aside: Counter[str]
) -> Labelled:
    train: list[tuple[Row, str]] = []
    held_out: list[tuple[Row, str]] = []
    for said, (row, said_labels) in sorted(rows.items()):  # in no order that feedback came in: the version is the same
        if said in known:
            set_aside[f"in the {known[said]} split already"] += 1
        elif len(said_labels) > 1:
            set_aside["with several labels"] += 1
        else:
            chosen = held_out if content_hash(said) / 2.0**64 < holdout else train
            chosen.append((row, next(iter(said_labels))))
    return Labelled(train, held_out, set_aside)
