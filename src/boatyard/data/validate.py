"""What is wrong with the rows, and which of them cannot be used.

Exact cases are errors; cases equal only after case, punctuation and space are ignored are warnings.
"""

import hashlib
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from boatyard.data.read import SPLIT_NAMES, SPLITS
from boatyard.data.summary import Issue
from boatyard.inputs.records import NOT_UTF_8, TWICE
from boatyard.inputs.texts import LONGEST_LABEL, UNDECODABLE, composed, is_blank, is_encodable, look, normal_form

LISTED = 1000  # issues kept with their place; all are counted

TRAIN, VALIDATION, TEST = range(len(SPLITS))

_nobody = np.zeros(0, np.int64)


class Problem(NamedTuple):
    """Why one row cannot be read."""

    kind: str
    column: str | None  # None: the whole row
    message: str


def check_texts(values: Sequence[Any], columns: Sequence[str]) -> Problem | None:
    """What is wrong with these cells, of which each must be a text that says something."""
    for value, column in zip(values, columns, strict=True):
        if value is None:
            return Problem("missing_column", column, "has no value; every row needs one")
        if not isinstance(value, str):
            return Problem("not_text", column, f"holds a {type(value).__name__}; expected text")
        if is_blank(value):
            return Problem("empty", column, "is empty; every row needs a text")
        if not is_encodable(value):
            undecoded = UNDECODABLE.search(value) is not None
            what = f"bytes that are {NOT_UTF_8}" if undecoded else "half of a surrogate pair, which is no character"
            return Problem("bad_bytes", column, f"holds {what}")
    return None


def check_label(label: str, column: str) -> Problem | None:
    """What is wrong with the label, which is a text that says something."""
    if len(label) <= LONGEST_LABEL:
        return None
    message = f"has {len(label):,} characters; a label may have {LONGEST_LABEL}: is it the column of the labels?"
    return Problem("long_label", column, message)


def check_split(value: object, column: str) -> tuple[int, Problem | None]:
    """The split that the cell names, or what is wrong with it."""
    name = SPLIT_NAMES.get(normal_form(str(value)).lower())
    if name is None:
        return -1, Problem("unknown_split", column, f"says {value!r}; known are {', '.join(SPLIT_NAMES)}")
    return SPLITS.index(name), None


def folded(words: Sequence[str], row: Sequence[str]) -> str:
    """What a row says once spelling is ignored: its kind's `words`, or itself where it has none."""
    return " ".join(words) or whole(row)


def whole(row: Sequence[str]) -> str:
    """What a row says to the letter."""
    return composed("\0".join(row))


def content_hash(text: str) -> int:
    """64 bits that stand for the content: among 10 million rows two collide with a chance of 3 in a million."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


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
    """One line for each readable row, in 32 bytes: where it stands, its label, its content as hashes."""

    def __init__(self, sources: Sequence[str]) -> None:
        self.sources = sources
        self.label_numbers: dict[str, int] = {}
        self._source, self._row, self._split = array("i"), array("q"), array("b")
        self._label, self._length = array("i"), array("i")
        self._exact, self._folded = array("Q"), array("Q")

    def add(self, source: int, row: int, split: int, label: str, exact: int, folded: int, length: int) -> None:
        """Append a line."""
        self._source.append(source)
        self._row.append(row)
        self._split.append(split)
        self._label.append(self.label_numbers.setdefault(label, len(self.label_numbers)))
        self._exact.append(exact)
        self._folded.append(folded)
        self._length.append(length)

    def __len__(self) -> int:
        return len(self._row)

    def close(self) -> None:
        """Turn the columns into arrays, [rows] each."""
        self.source = np.asarray(self._source)
        self.row = np.asarray(self._row)
        self.split = np.asarray(self._split).copy()
        self.label = np.asarray(self._label)
        self.length = np.asarray(self._length)
        self.exact = np.asarray(self._exact)
        self.folded = np.asarray(self._folded)
        self.labels = list(self.label_numbers)

    def place(self, index: int) -> str:
        """File and row, as messages say it."""
        return f"{self.sources[self.source[index]]} row {self.row[index]}"

    def issue(
        self,
        index: int | np.integer[Any],
        severity: Literal["error", "warning"],
        kind: str,
        column: str | None,
        message: str,
    ) -> Issue:
        """What is wrong with that row."""
        return Issue(severity, kind, message, self.sources[self.source[index]], int(self.row[index]), column)


def assign_splits(ledger: Ledger, validation_share: float, test_share: float) -> None:
    """Split what the source left together, by the hash of each row's words.

    A row's place depends on its own content alone, so adding rows moves none of the old ones, and rows that
    differ only in case, punctuation and space stay on one side. Splits that the source gives are left alone.
    """
    given = set(np.unique(ledger.split).tolist())
    ledger.split[ledger.split < 0] = TRAIN
    free = ledger.split == TRAIN
    drawn = ledger.folded / 2.0**64
    start = 0.0
    for split, share in ((TEST, test_share), (VALIDATION, validation_share)):
        if split not in given:
            ledger.split[free & (start <= drawn) & (drawn < start + share)] = split
            start += share


def compare_rows(ledger: Ledger, findings: Findings, label_column: str) -> dict[int, str]:
    """Find conflicting, repeated and leaked rows. Returns those that must be set aside, each with the reason."""
    unusable: dict[int, str] = {}
    repeated = np.zeros(len(ledger.row), bool)
    for group in _equal(ledger.exact):
        repeated[group[1:]] = True
        unusable |= _compare_exact(ledger, findings, group, label_column)
    for group in _equal(ledger.folded):
        _compare_folded(ledger, findings, group[~repeated[group]], label_column)
    return unusable


def check_labels(
    ledger: Ledger, findings: Findings, usable: npt.NDArray[np.bool_], column: str, least: int
) -> dict[int, str]:
    """Find labels that training never sees or sees too seldom. Returns the rows that bear one, with the reason."""
    learnt = ledger.label[usable & (ledger.split == TRAIN)]
    counts = np.bincount(learnt, minlength=len(ledger.labels))
    unusable: dict[int, str] = {}
    for number in np.flatnonzero(counts < least):
        bearers = np.flatnonzero(usable & (ledger.label == number)).tolist()
        if not bearers:
            continue
        label = ledger.labels[number]
        if counts[number]:
            kind, message = (
                "rare_label",
                f"{label!r} has {counts[number]} training rows; the least is {least}",
            )
        else:
            kind, message = "unknown_label", f"{label!r} is the label of no training row"
        findings.add(ledger.issue(bearers[0], "error", kind, column, f"{message} (data.min_rows_per_label)"))
        unusable |= dict.fromkeys(bearers, message)
    return unusable


def check_quotes(ledger: Ledger, findings: Findings, embedded: Mapping[int, Sequence[str]]) -> dict[int, str]:
    """Find rows that swallowed others. `embedded`: by line of the ledger, the labels of the lines inside that would be
    rows. Returns those to set aside, with the reason.
    """
    unusable: dict[int, str] = {}
    for index, labels in embedded.items():
        swallowed = sum(label in ledger.label_numbers for label in labels)
        if swallowed > 1:  # the row itself has a line with a label
            message = f"opens a quote in which {swallowed} lines look like rows, each with a label; {TWICE}"
            findings.add(ledger.issue(index, "error", "swallowed_rows", None, message))
            unusable[index] = message
    return unusable


def check_spelling(ledger: Ledger, findings: Findings, column: str) -> None:
    """Find labels that people take for one."""
    rows = np.bincount(ledger.label, minlength=len(ledger.labels))
    alike: dict[str, list[int]] = {}
    for number, label in enumerate(ledger.labels):
        alike.setdefault(look(label), []).append(number)
    for numbers in alike.values():
        most = max(numbers, key=lambda number: rows[number])
        for number in numbers:
            if number != most:
                label, other = ledger.labels[number], ledger.labels[most]
                shown = repr if label.casefold() == other.casefold() else ascii  # which names what cannot be seen
                message = (
                    f"{shown(label)} looks like {shown(other)}, and is another: {rows[number]} and {rows[most]} rows"
                )
                first = int(np.argmax(ledger.label == number))
                findings.add(ledger.issue(first, "warning", "similar_labels", column, message))


def _equal(hashes: npt.NDArray[np.uint64]) -> Iterator[npt.NDArray[np.int64]]:
    """The groups of two or more rows with equal hashes, in the rows' order."""
    order = np.argsort(hashes, kind="stable")
    starts = np.flatnonzero(np.r_[True, hashes[order][1:] != hashes[order][:-1]]) if len(order) else _nobody
    sizes = np.diff(np.r_[starts, len(order)])
    for start, size in zip(starts[sizes > 1], sizes[sizes > 1], strict=True):
        yield order[start : start + size]


def _compare_exact(
    ledger: Ledger, findings: Findings, group: npt.NDArray[np.int64], label_column: str
) -> dict[int, str]:
    """Report rows of one content. Returns those to set aside: all when in doubt, else all but one."""
    first = group[0]
    other = group[ledger.label[group] != ledger.label[first]]
    if len(other):
        said, before = ledger.labels[ledger.label[other[0]]], ledger.labels[ledger.label[first]]
        message = f"says {said!r}, but the same content in {ledger.place(first)} says {before!r}"
        findings.add(ledger.issue(other[0], "error", "conflict", label_column, message))
        return dict.fromkeys(group.tolist(), "conflicting labels for one content")
    kept = group[np.argmax(ledger.split[group])]  # a given test set stays whole
    unusable: dict[int, str] = {}
    for index in group[group != kept].tolist():
        kind, message = "duplicate", f"repeats {ledger.place(kept)}"
        if ledger.split[index] != ledger.split[kept]:
            kind = "leakage"
            message = f"is in {SPLITS[ledger.split[index]]} and in {SPLITS[ledger.split[kept]]} ({ledger.place(kept)})"
        findings.add(ledger.issue(index, "error", kind, None, message))
        unusable[index] = message
    return unusable


def _compare_folded(ledger: Ledger, findings: Findings, group: npt.NDArray[np.int64], label_column: str) -> None:
    for split in (TRAIN, VALIDATION, TEST):
        same = group[ledger.split[group] == split]
        before = group[ledger.split[group] < split]
        for index in same[1:]:
            findings.add(ledger.issue(index, "warning", "duplicate", None, f"says the same as {ledger.place(same[0])}"))
        if len(set(ledger.label[same].tolist())) > 1:
            index = next(i for i in same if ledger.label[i] != ledger.label[same[0]])
            said, first = ledger.labels[ledger.label[index]], ledger.labels[ledger.label[same[0]]]
            message = f"says {said!r}, but the same words in {ledger.place(same[0])} say {first!r}"
            findings.add(ledger.issue(index, "warning", "conflict", label_column, message))
        for index in same if len(before) else _nobody:
            message = f"says the same as {ledger.place(before[0])}, which is in {SPLITS[ledger.split[before[0]]]}"
            findings.add(ledger.issue(index, "warning", "leakage", None, message))
