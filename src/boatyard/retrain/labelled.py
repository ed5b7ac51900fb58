"""Labelled rows from the journal: what was asked, with what people said was right."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from boatyard.data.validate import content_hash, folded
from boatyard.errors import UserError

Row = tuple[str, ...]


@dataclass(frozen=True)
class Labelled:
    """Rows to learn from and rows to be measured on, which no model has learned from; and why others are neither."""

    train: list[tuple[Row, str]]
    held_out: list[tuple[Row, str]]
    set_aside: Counter[str] = field(default_factory=Counter)


def labelled_rows(
    lines: Iterable[Mapping[str, Any]],
    name: str,
    *,
    parse: Callable[[object], Row],
    words: Callable[[Row], Sequence[str]],
    labels: Sequence[str],
    known: Mapping[str, Sequence[tuple[Row, str]]],
    holdout: float,
) -> Labelled:
    """What feedback says of model `name`.

    Of several labels for one answer the last counts. A row that says the same as another (`words`) counts once; where
    their labels differ, neither counts. Rows of `known` ("train", "validation", "test") are not taken again: what is
    in a test set must not be learned. A row is held out by a hash of its words, so it always is.

    Raises:
        UserError: there is feedback, but the journal does not keep what was asked.
    """
    asked: dict[str, object] = {}
    truth: dict[str, str] = {}
    without_input = 0
    for line in lines:
        if line.get("event") == "feedback":
            truth[line["id"]] = line["label"]
        elif line.get("event") == "prediction" and line.get("model") == name:
            if "input" in line:
                asked[line["id"]] = line["input"]
            else:
                without_input += 1
    set_aside: Counter[str] = Counter()
    found: dict[str, tuple[Row, set[str]]] = {}
    for answer, label in truth.items():
        if answer not in asked:
            set_aside["about an answer of another model, or one whose input was not kept"] += 1
            continue
        if label not in labels:
            set_aside["with a label that the model does not know"] += 1
            continue
        try:
            row = parse(asked[answer])
        except UserError:
            set_aside["whose input the model no longer takes"] += 1
            continue
        said = folded(words(row), row)
        if said in found:
            set_aside["asked before"] += 1
        found.setdefault(said, (row, set()))[1].add(label)
    if truth and not asked and without_input:
        raise UserError(f"the journal holds no inputs of {name}: serve with BOATYARD_JOURNAL_INPUT=stored")
    return _split(found, _known(known, words), holdout, set_aside)


def _known(known: Mapping[str, Sequence[tuple[Row, str]]], words: Callable[[Row], Sequence[str]]) -> dict[str, str]:
    return {
        folded(words(row), row): split
        for split in ("train", "validation", "test")  # a row of two splits belongs to the last
        for row, _ in known[split]
    }


def _split(
    found: Mapping[str, tuple[Row, set[str]]], known: Mapping[str, str], holdout: float, set_aside: Counter[str]
) -> Labelled:
    train: list[tuple[Row, str]] = []
    held_out: list[tuple[Row, str]] = []
    for said, (row, given) in sorted(found.items()):  # in no order that feedback came in: the version is the same
        if said in known:
            set_aside[f"in the {known[said]} split already"] += 1
        elif len(given) > 1:
            set_aside["with several labels"] += 1
        else:
            chosen = held_out if content_hash(said) / 2.0**64 < holdout else train
            chosen.append((row, given.pop()))
    return Labelled(train, held_out, set_aside)
