"""Splits, duplicates, conflicts, and rows that swallowed others.

Exact cases are errors; cases that are equal only by what the rows say are warnings.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from boatyard.data.ledger import TEST, TRAIN, VALIDATION, Findings, Ledger
from boatyard.inputs.dates import read_date
from boatyard.inputs.quotes import DOUBLED
from boatyard.inputs.sources import SPLIT_NAMES, SPLITS
from boatyard.inputs.texts import normal_form
from boatyard.inputs.training_protocol import Problem
from boatyard.tasks.protocol import Targets

_nobody = np.zeros(0, np.int64)


def check_split(value: object, column: str) -> int | Problem:
    """The split that the cell names, or what is wrong with it."""
    name = SPLIT_NAMES.get(normal_form(str(value)).lower())
    if name is None:
        return Problem("unknown_split", column, f"says {value!r}; known are {', '.join(SPLIT_NAMES)}")
    return SPLITS.index(name)


def check_date(value: object, column: str) -> int | Problem:
    """The day that the cell names, counted from the year 1, or what is wrong with it."""
    day = read_date(value)
    if day is None:
        return Problem("no_date", column, f"says {value!r}; to split by it, every row needs a date such as 2024-05-31")
    return day.toordinal()


def assign_splits(ledger: Ledger, validation_share: float, test_share: float, *, by_date: bool = False) -> None:
    """Split what the source left together: by the hash of each row's group, or the newest days into test.

    By a hash, a row's place depends on its own content alone, so adding rows moves none of the old ones, and rows that
    say the same stay on one side. Splits that the source gives are left alone.
    """
    provided = set(np.unique(ledger.split).tolist())
    ledger.split[ledger.split < 0] = TRAIN
    free = ledger.split == TRAIN
    drawn = ledger.draw / 2.0**64 if not by_date else _by_age(ledger.draw, free)
    start = 0.0
    for split, share in ((TEST, test_share), (VALIDATION, validation_share)):
        if split not in provided:
            ledger.split[free & (start <= drawn) & (drawn < start + share)] = split
            start += share


def _by_age(days: NDArray[np.uint64], free: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Of each row, the share of the free rows that are newer: the same for all of one day."""
    ascending = np.sort(days[free])
    return 1 - np.searchsorted(ascending, days, side="right") / max(len(ascending), 1)


def check_quotes(
    ledger: Ledger, targets: Targets, findings: Findings, embedded: Mapping[int, Sequence[Mapping[str, Any]]]
) -> dict[int, str]:
    """Find rows that swallowed others. `embedded`: by line of the ledger, the cells of the lines inside that would be
    rows. Returns those to set aside, with the reason.
    """
    unusable: dict[int, str] = {}
    for index, rows in embedded.items():
        swallowed = sum(map(targets.knows, rows))
        if swallowed > 1:  # the row itself has a line with a target
            message = f"opens a quote in which {swallowed} lines look like rows, each with a {targets.noun}; {DOUBLED}"
            findings.add(ledger.issue(index, "error", "swallowed_rows", None, message))
            unusable[index] = message
    return unusable


def compare_rows(
    ledger: Ledger, targets: Targets, findings: Findings, repeats: Literal["error", "warning"]
) -> dict[int, str]:
    """Find conflicting, repeated and leaked rows. Returns those that must be set aside, each with the reason.

    `repeats`: what it is if they are of exactly one content; that they say the same is a warning in any case.
    """
    unusable: dict[int, str] = {}
    repeated = np.zeros(len(ledger.row), bool)
    for rows in _equal(ledger.exact) if repeats == "error" else ():
        repeated[rows[1:]] = True
        unusable |= _compare_exact(ledger, targets, findings, rows)
    for rows in _equal(ledger.group):
        _compare_group(ledger, targets, findings, rows[~repeated[rows]])
    return unusable


def _equal(hashes: NDArray[np.uint64]) -> Iterator[NDArray[np.int64]]:
    """The groups of two or more rows with equal hashes, in the rows' order."""
    order = np.argsort(hashes, kind="stable")
    ascending = hashes[order]
    as_the_next = np.flatnonzero(ascending[1:] == ascending[:-1])  # few, where an array of all would be large
    for run in np.split(as_the_next, np.flatnonzero(np.diff(as_the_next) > 1) + 1):
        if len(run):
            yield order[run[0] : run[-1] + 2]


def _compare_exact(ledger: Ledger, targets: Targets, findings: Findings, rows: NDArray[np.int64]) -> dict[int, str]:
    """Report rows of one content. Returns those to set aside: all when in doubt, else all but one of each target."""
    if (pair := targets.contradiction(rows)) is not None:
        first, other = pair
        both = f"the same content in {ledger.place(first)} says {targets.shown(first)}"
        message = f"says {targets.shown(other)}, but {both}"
        findings.add(ledger.issue(other, targets.contradictory, "conflict", targets.column, message))
        if targets.contradictory == "error":
            return dict.fromkeys(rows.tolist(), f"conflicting {targets.noun}s for one content")
    kept = rows[np.argmax(ledger.split[rows])]  # a given test set stays whole
    by_target = {targets.values[kept].item(): kept}
    unusable: dict[int, str] = {}
    for index in rows[rows != kept].tolist():
        if ledger.split[index] != ledger.split[kept]:
            kind = "leakage"
            message = f"is in {SPLITS[ledger.split[index]]} and in {SPLITS[ledger.split[kept]]} ({ledger.place(kept)})"
        elif (same := by_target.setdefault(targets.values[index].item(), index)) != index:
            kind, message = "duplicate", f"repeats {ledger.place(same)}"
        else:
            continue
        findings.add(ledger.issue(index, "error", kind, None, message))
        unusable[index] = message
    return unusable


def _compare_group(ledger: Ledger, targets: Targets, findings: Findings, rows: NDArray[np.int64]) -> None:
    """Warn of rows that say the same."""
    for split in (TRAIN, VALIDATION, TEST):
        same = rows[ledger.split[rows] == split]
        before = rows[ledger.split[rows] < split]
        for index in same[1:]:
            findings.add(ledger.issue(index, "warning", "duplicate", None, f"says the same as {ledger.place(same[0])}"))
        if (pair := targets.contradiction(same)) is not None:
            first, other = pair
            both = f"what says the same in {ledger.place(first)} says {targets.shown(first)}"
            message = f"says {targets.shown(other)}, but {both}"
            findings.add(ledger.issue(other, "warning", "conflict", targets.column, message))
        for index in same if len(before) else _nobody:
            message = f"says the same as {ledger.place(before[0])}, which is in {SPLITS[ledger.split[before[0]]]}"
            findings.add(ledger.issue(index, "warning", "leakage", None, message))
