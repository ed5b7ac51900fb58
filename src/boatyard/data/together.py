"""The rows of all sources compared with each other: their splits, and which of them can be used."""

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from boatyard.config.errors import UserError
from boatyard.config.plurals import counted
from boatyard.config.schema import Data
from boatyard.data.ledger import TRAIN, Findings, Ledger
from boatyard.data.reading import Reading
from boatyard.data.relatives import Earlier, Groups, deal_out, find_bridges, warn_of_relatives
from boatyard.data.validate import assign_splits, check_quotes, compare_rows
from boatyard.inputs.samples import take_rows
from boatyard.inputs.sources import SPLITS
from boatyard.inputs.training_protocol import Relatives
from boatyard.tasks.protocol import Target, Targets

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Checked:
    """The rows once they are compared with each other.

    `unusable`: by line of the ledger, why the row is set aside. `usable`: bool[rows], false too of those that
    `data.max_train_rows` leaves out. `target`: the task's facts. `stored`: each row's target as training reads it.
    `related`: the relatives that were kept together, where the input tells of any.
    """

    unusable: dict[int, str]
    usable: NDArray[np.bool_]
    target: Target
    stored: pa.Array
    related: Relatives | None


def check_together(data: Data, reading: Reading, rows: Path, earlier: Earlier) -> Checked:
    """Split the rows, which lie in `rows`, and compare them with each other."""
    ledger, targets, findings = reading.ledger, reading.targets, reading.findings
    given = set(np.unique(ledger.split).tolist())
    related, unusable = _split(data, reading, rows, earlier)
    unusable |= check_quotes(ledger, targets, findings, reading.embedded)
    unusable |= compare_rows(ledger, targets, findings, reading.input.REPEATS)
    if (column := data.group_column or data.split_by_date) is not None:
        shares = {"validation": data.validation_share, "test": data.test_share}
        made = {split: share for split, share in shares.items() if SPLITS.index(split) not in given}
        _warn_of_uneven_splits(made, column, ledger, _without(ledger, unusable), findings)
    unusable |= targets.check(ledger, findings, _without(ledger, unusable))
    usable = _without(ledger, unusable)
    target = targets.facts(ledger, usable)
    if data.max_train_rows is not None:
        usable = _fewer(ledger, targets, usable, data.max_train_rows)
    if related is not None:
        warn_of_relatives(ledger, related.groups, findings, usable)
    return Checked(unusable, usable, target, targets.stored(target), related)


def _split(data: Data, reading: Reading, rows: Path, earlier: Earlier) -> tuple[Relatives | None, dict[int, str]]:
    """Give each row its split. Returns the relatives that were kept together, if any, and rows to set aside."""
    ledger, shares = reading.ledger, (data.validation_share, data.test_share)
    related = None
    if data.split_by_date is None and data.group_column is None:
        with pa.memory_map(str(rows)) as file:
            table = pa.ipc.open_stream(file).read_all()
        related = reading.input.relatives(table)
    if related is None:
        assign_splits(ledger, *shares, by_date=data.split_by_date is not None)
        return None, {}

    def relate(some: NDArray[np.int64]) -> Groups:
        again = reading.input.relatives(take_rows(table, some))
        assert again is not None
        return again.groups

    groups, bridges = find_bridges(ledger, related.groups, earlier, relate, reading.findings)
    deal_out(ledger, reading.targets, groups, earlier, *shares)
    return Relatives(groups, related.exact), bridges


def _warn_of_uneven_splits(
    shares: Mapping[str, float], column: str, ledger: Ledger, usable: NDArray[np.bool_], findings: Findings
) -> None:
    """Where groups or days are few, or unequal, a split may have less than half of its share, or more than twice."""
    for split, share in shares.items():
        rows, wanted = int((usable & (ledger.split == SPLITS.index(split))).sum()), share * usable.sum()
        if wanted / 2 <= rows <= 2 * wanted:
            continue
        kind, so = (
            ("small_split", "it says little") if rows < wanted else ("large_split", "so much less is learnt from")
        )
        message = f"leaves {split} {counted(rows, 'row')} of the {wanted:,.0f} that its share would be: {so}"
        log.warning("data: column %r %s", column, message)
        findings.add(ledger.issue(0, "warning", kind, column, message))


def _without(ledger: Ledger, unusable: Collection[int]) -> NDArray[np.bool_]:
    """Of each row, whether it is not `unusable`."""
    usable = np.ones(len(ledger), bool)
    usable[list(unusable)] = False
    return usable


def _fewer(ledger: Ledger, targets: Targets, usable: NDArray[np.bool_], most: int) -> NDArray[np.bool_]:
    """`usable` with `most` training rows: the essential ones and those of the smallest hashes, so always the same.

    Raises:
        UserError: there are more essential ones.
    """
    rows = np.flatnonzero(usable & (ledger.split == TRAIN))
    rows = rows[np.argsort(ledger.exact[rows], kind="stable")]
    essential, why = targets.essential(rows)
    if most < len(essential):
        raise UserError(f"data.max_train_rows={most} is too few: {why}")
    others = np.delete(np.arange(len(rows)), essential)[: most - len(essential)]
    fewer = usable.copy()
    fewer[np.delete(rows, np.union1d(essential, others))] = False
    return fewer
