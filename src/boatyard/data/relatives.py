"""Splits that keep relatives together: rows that resemble each other, as their input tells of all of them at once.

Each heading of the report, such as a label, is dealt out by its share, one group of relatives after another. Which
split a row went to is kept in KEPT_SPLITS, by which a later version leaves it there (`data.earlier_splits`).
"""

import csv
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from boatyard.config.errors import UserError
from boatyard.config.plurals import counted
from boatyard.data.ledger import TEST, TRAIN, VALIDATION, Findings, Ledger, content_hash
from boatyard.inputs.components import components
from boatyard.inputs.sources import SPLITS
from boatyard.tasks.protocol import Targets

KEPT_SPLITS = "splits.csv"
_COLUMNS = ("content", "group", "split")

Groups = NDArray[np.int64]
Relate = Callable[[NDArray[np.int64]], Groups]
"""Lines of the ledger to a number for each, which relatives among them have in common."""


Earlier = Mapping[int, tuple[int, int]]
"""Of rows of an earlier version, by the hash of their content: their group and their split."""


def read_earlier(path: str | None) -> Earlier:
    """What `keep_splits` wrote; nothing without a path. Raises UserError."""
    if path is None:
        return {}
    try:
        with Path(path).open(encoding="utf-8", newline="") as file:
            header, *rows = csv.reader(file)
        if tuple(header) != _COLUMNS:
            raise ValueError
        return {int(content, 16): (int(group), SPLITS.index(split)) for content, group, split in rows}
    except OSError as wrong:
        raise UserError(f"data.earlier_splits={path}: cannot be read ({wrong.strerror})") from None
    except ValueError:  # UnicodeDecodeError included
        raise UserError(f"data.earlier_splits={path}: is not the {KEPT_SPLITS} of a data report") from None


def keep_splits(path: Path, ledger: Ledger, groups: Groups, usable: NDArray[np.bool_]) -> None:
    """Where each row went."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_COLUMNS)
        rows = np.flatnonzero(usable)
        places = zip(ledger.exact[rows].tolist(), groups[rows].tolist(), ledger.split[rows].tolist(), strict=True)
        writer.writerows((f"{content:016x}", group, SPLITS[split]) for content, group, split in places)


def share_related(groups: Groups, usable: NDArray[np.bool_]) -> float:
    """Of the usable rows, how many are not the only one of their group."""
    _, members = np.unique(groups[usable], return_counts=True)
    return float(members[members > 1].sum() / max(members.sum(), 1))


def find_bridges(
    ledger: Ledger, groups: Groups, earlier: Earlier, relate: Relate, findings: Findings
) -> tuple[Groups, dict[int, str]]:
    """New rows with relatives in two splits of the earlier version, or in another than their own; they are set aside.

    Returns the groups without them, in which rows that were relatives before are so still, and the reasons.
    """
    if not earlier:
        return groups, {}
    before, splits = _places(ledger, earlier)
    old = splits >= 0
    splits = np.where(old, splits, ledger.split)
    groups = _merged(groups, before)
    bridges: dict[int, str] = {}

    def among(rows: NDArray[np.int64]) -> Groups:
        return _merged(relate(rows), before[rows])

    def with_more(kept: NDArray[np.int64], new: NDArray[np.int64]) -> NDArray[np.int64]:
        """`kept`, and of the new rows, one after another, those that join no two sides of these; most at once."""
        rows = np.append(kept, new)
        related = among(rows)
        if not len(new) or not np.isin(related[len(kept) :], _on_two_sides(related, splits[rows])).any():
            return rows
        if len(new) == 1:
            row = int(new[0])
            bridges[row] = _why({*splits[rows][related == related[-1]].tolist()} - {-1}, int(splits[row]))
            findings.add(ledger.issue(row, "warning", "bridge", None, f"{bridges[row]}: it is set aside"))
            return kept
        half = len(new) // 2
        return with_more(with_more(kept, new[:half]), new[half:])

    for group in _on_two_sides(groups, splits):
        rows = np.flatnonzero(groups == group)
        kept = with_more(rows[old[rows]], rows[~old[rows]])
        groups[kept] = groups.max() + 1 + among(kept)
    return groups, bridges


def _why(sides: set[int], own: int) -> str:
    others = " and of ".join(SPLITS[side] for side in sorted(sides - {own}))
    then = "and would join them" if own < 0 else f"and is one of {SPLITS[own]}"
    return f"resembles rows of {others}, {then}"


def deal_out(
    ledger: Ledger, targets: Targets, groups: Groups, earlier: Earlier, validation_share: float, test_share: float
) -> None:
    """Split what the source left together; rows of the earlier version and their relatives stay where these were.

    Groups go by a hash, each to the split that lacks most rows of its heading: with the largest first, all that is
    rare would be tested and never learnt.
    """
    provided = set(np.unique(ledger.split).tolist())
    shares = {s: share for s, share in ((VALIDATION, validation_share), (TEST, test_share)) if s not in provided}
    ledger.split[ledger.split < 0] = TRAIN
    if not shares:
        return
    shares = {TRAIN: 1 - sum(shares.values()), **shares}
    _, before = _places(ledger, earlier)
    placed, waiting = defaultdict[str, Counter[int]](Counter), defaultdict[str, list[NDArray[np.int64]]](list)
    for rows in _members(groups, ledger.split == TRAIN):
        heading = Counter(map(targets.group, rows.tolist())).most_common(1)[0][0]
        if (split := int(before[rows].max())) >= 0:
            ledger.split[rows] = np.where(before[rows] >= 0, before[rows], split)
            placed[heading][split] += len(rows)
        else:
            waiting[heading].append(rows)
    for heading, members in waiting.items():
        done = placed[heading]
        total = done.total() + sum(map(len, members))
        for rows in sorted(members, key=lambda rows: _hash(ledger, rows)):
            split = max(shares, key=lambda split: shares[split] * total - done[split])
            ledger.split[rows] = split
            done[split] += len(rows)


def warn_of_relatives(ledger: Ledger, groups: Groups, findings: Findings, usable: NDArray[np.bool_]) -> None:
    """Where the source itself says what is tested, rows that resemble training rows stay there, and are counted."""
    learnt = np.zeros(int(groups.max(initial=0)) + 1, bool)
    learnt[groups[usable & (ledger.split == TRAIN)]] = True
    for split in (VALIDATION, TEST):
        rows = np.flatnonzero(usable & (ledger.split == split))
        alike = rows[learnt[groups[rows]]]
        if len(alike):
            said = (
                f"{len(alike):,} of {counted(len(rows), 'row')} of {SPLITS[split]} "
                f"{'resembles' if len(alike) == 1 else 'resemble'} training rows: scores will flatter"
            )
            findings.add(ledger.issue(alike[0], "warning", "relatives", None, said))


def _hash(ledger: Ledger, rows: NDArray[np.int64]) -> int:
    """Whatever the order of the rows; that of the least alone would be smaller for larger groups."""
    return content_hash(ledger.exact[rows].min().tobytes())


def _places(ledger: Ledger, earlier: Earlier) -> tuple[Groups, NDArray[np.int8]]:
    """Of each row its group and its split in the earlier version; -1 where that had none like it."""
    places = np.array([earlier.get(content, (-1, -1)) for content in ledger.exact.tolist()], np.int64).reshape(-1, 2)
    return places[:, 0], places[:, 1].astype(np.int8)


def _merged(groups: Groups, before: Groups) -> Groups:
    """Groups joined where rows were of one group before; -1: of none."""
    known = np.flatnonzero(before >= 0)
    if not len(known):
        return groups.copy()
    _, of_before = np.unique(before[known], return_inverse=True)
    most = int(groups.max()) + 1
    return components(groups[known], most + of_before, most + int(of_before.max()) + 1)[groups]


def _on_two_sides(groups: Groups, splits: NDArray[np.int8]) -> list[int]:
    known = splits >= 0
    pairs = np.unique(np.stack([groups[known], splits[known]]), axis=1)
    numbers, sides = np.unique(pairs[0], return_counts=True)
    return [int(number) for number in numbers[sides > 1]]


def _members(groups: Groups, free: NDArray[np.bool_]) -> list[NDArray[np.int64]]:
    """The free rows of each group."""
    rows = np.flatnonzero(free)
    rows = rows[np.argsort(groups[rows], kind="stable")]
    return np.split(rows, np.flatnonzero(np.diff(groups[rows])) + 1) if len(rows) else []
