"""Rows from the source to checked, split Arrow files that are read by memory map, and the data report."""

import filecmp
import json
import logging
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from datasets import Dataset
from numpy.typing import NDArray

from boatyard import inputs, tasks
from boatyard.config.errors import UserError
from boatyard.config.schema import Config, Data
from boatyard.data.arrow import open_set_aside, set_aside_unusable, write_splits
from boatyard.data.ledger import TRAIN, Findings, Ledger
from boatyard.data.reading import Reading
from boatyard.data.relatives import (
    KEPT_SPLITS,
    Earlier,
    Groups,
    deal_out,
    find_bridges,
    keep_splits,
    read_earlier,
    share_related,
    warn_of_relatives,
)
from boatyard.data.report import write_data_report
from boatyard.data.sources import open_sources, other_columns
from boatyard.data.summary import DataSummary, Drawn, Issue
from boatyard.data.validate import assign_splits, check_quotes, compare_rows
from boatyard.inputs.sources import SPLITS
from boatyard.inputs.training_protocol import TARGET, Relatives, RowReport, Source, TrainingInput
from boatyard.storage.fingerprint import code_of, file_digest, fingerprint
from boatyard.storage.folders import locked, replacing
from boatyard.tasks.protocol import Target, Targets

log = logging.getLogger(__name__)

_QUARANTINE = "quarantine.csv"
_DRAWN = 12  # rows in a report
_AT_ONCE = 100  # rows, where all are wanted one after another


@dataclass(frozen=True)
class Prepared:
    """Checked rows, and the fingerprint of their content.

    `data`: as it was given, with what it left open. `target`: the task's facts. `splits`: train, validation, test, with
    a column for each field, TARGET, SOURCE and ROW. `related`: the share of rows that have relatives, which were kept
    on one side of each split; None where the input tells of none.
    """

    folder: Path
    fingerprint: str
    data: Data
    fields: list[str]
    target: Target
    splits: dict[str, Dataset]
    related: float | None

    def rows(self, split: str) -> list[tuple[Any, ...]]:
        """The split's inputs, each a tuple of its fields."""
        rows = self.splits[split]
        return list(zip(*(rows[field][:] for field in self.fields), strict=True))

    def each_row(self, split: str) -> Iterator[tuple[Any, ...]]:
        """The same, of which few are in memory at once."""
        for batch in self.splits[split].select_columns(self.fields).iter(batch_size=_AT_ONCE):
            yield from zip(*(batch[field] for field in self.fields), strict=True)

    def targets(self, split: str) -> NDArray[Any]:
        """The split's targets as they are stored, [rows]."""
        stored: NDArray[Any] = self.splits[split].data.column(TARGET).to_numpy()  # `with_format` has but float32
        return stored


def prepare(config: Config) -> Prepared:
    """Read, check, split and store the rows of `config.data`, unless just these are stored already.

    Raises:
        UserError: the rows cannot be used as they are; names file, row and column.
    """
    data, input_ = config.data, inputs.training(config.data.input)
    sources = open_sources(config)
    earlier = read_earlier(data.earlier_splits)
    key = fingerprint(
        {
            "sources": [(source.name, source.split, source.digest) for source in sources],
            "data": data.model_dump(exclude={"path", "hub", "earlier_splits"}),
            "earlier": sorted(earlier.items()),
        },
        code=code_of("prepare", data.input, data.task),
    )
    folder = Path(config.paths.processed, data.name, key)
    report = Path(config.paths.reports, "data", data.name)
    with locked(folder):
        if (folder / "prepared.json").exists():
            log.info("data: %s is prepared already (%s)", data.name, folder)
            _show(folder / "report", report)  # there may lie one of other rows or settings
        else:
            with replacing(folder) as staging:
                _prepare(data, sources, earlier, staging, report)
    prepared = _open(data, folder)
    _stop_if_unservable(input_, prepared, [source.name for source in sources])
    return prepared


def _open(data: Data, folder: Path) -> Prepared:
    facts = json.loads((folder / "prepared.json").read_text(encoding="utf-8"))
    splits = {split: Dataset.from_file(str(folder / f"{split}.arrow")) for split in SPLITS}
    data = data.model_copy(update=facts["settled"])
    return Prepared(folder, facts["fingerprint"], data, facts["fields"], facts["target"], splits, facts["related"])


def _prepare(given: Data, sources: Sequence[Source], earlier: Earlier, staging: Path, report: Path) -> None:
    """Read, check and write: the report is written, and shown, even where the rows cannot be used."""
    data, found = inputs.training(given.input).settle(given, sources, other_columns(given))
    reading = Reading(data, [source.name for source in sources])
    rows, draft = staging / "rows.arrow", staging / "report"
    draft.mkdir()
    with open_set_aside(draft / _QUARANTINE, [*reading.fields, "target"]) as set_aside:
        reading.read(sources, rows, set_aside)
        checked = _check(data, reading, rows, earlier)
        samples = write_splits(reading.ledger, reading.targets, checked.stored, checked.usable, reading.schema, staging)
        set_aside_unusable(reading.ledger, reading.targets, checked.unusable, rows, set_aside)
    rows.unlink()
    if checked.related is not None:
        keep_splits(draft / KEPT_SPLITS, reading.ledger, checked.related.groups, checked.usable)
        found = {**found, "relatives": checked.related}
    rows_report = _report_rows(data, found, reading, checked.target, staging, draft)
    summary = _summary(data, reading, checked, samples, staging)
    write_data_report(draft, summary, data.task, rows_report)
    if summary.quarantine_file is None:
        (draft / _QUARANTINE).unlink()
    _show(draft, report)
    related = None if checked.related is None else share_related(checked.related.groups, checked.usable)
    _stop_if_unusable(data, summary, related, reading.findings, report)
    before, after = given.model_dump(), data.model_dump()
    facts: dict[str, Any] = {key: getattr(summary, key) for key in ("fingerprint", "fields", "target")}
    facts["settled"] = {key: value for key, value in after.items() if before[key] != value}
    facts["related"] = related
    (staging / "prepared.json").write_text(json.dumps(facts | {"rows": summary.split_rows}, indent=2), encoding="utf-8")
    warnings = sum(count for kind, count in summary.issue_counts.items() if kind.startswith("warning:"))
    found_so = f"{sum(summary.split_rows.values()):,} rows"
    if warnings:
        found_so += f", {warnings:,} warning{'s' * (warnings > 1)}"
    log.info("data: %s; report in %s", found_so, report)


@dataclass(frozen=True)
class _Checked:
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


def _check(data: Data, reading: Reading, rows: Path, earlier: Earlier) -> _Checked:
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
    return _Checked(unusable, usable, target, targets.stored(target), related)


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
        again = reading.input.relatives(table.take(some))
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
        message = f"leaves {split} {rows:,} rows of the {wanted:,.0f} that its share would be: {so}"
        log.warning("data: column %r %s", column, message)
        findings.add(ledger.issue(0, "warning", kind, column, message))


def _without(ledger: Ledger, unusable: Collection[int]) -> NDArray[np.bool_]:
    """Of each row, whether it is not `unusable`."""
    usable = np.ones(len(ledger), bool)
    usable[list(unusable)] = False
    return usable


def _report_rows(
    data: Data, found: Mapping[str, Any], reading: Reading, target: Target, folder: Path, draft: Path
) -> RowReport:
    """The input's part of the report, on the training rows; what it warns of is found in the sources' first line."""
    with pa.memory_map(str(folder / "train.arrow")) as file:
        report = reading.input.report_rows(data, found, pa.ipc.open_stream(file).read_all(), target, draft)
    for kind, column, message in report.warnings:
        log.warning("data: %s%s", f"column {column!r} " if column else "", message)
        reading.findings.add(Issue("warning", kind, message, reading.sources[0], 1, column))
    return report


def _summary(
    data: Data, reading: Reading, checked: _Checked, samples: Mapping[str, Sequence[tuple[Any, ...]]], folder: Path
) -> DataSummary:
    """The facts of the splits in `folder`."""
    ledger, findings = reading.ledger, reading.findings
    files = {split: file_digest(folder / f"{split}.arrow") for split in SPLITS}
    of_split = {split: checked.usable & (ledger.split == number) for number, split in enumerate(SPLITS)}
    values = checked.stored.to_numpy(zero_copy_only=False)
    quarantined = findings.unreadable + len(checked.unusable)
    return DataSummary(
        name=data.name,
        fingerprint=fingerprint({"files": files, "fields": reading.fields, "target": checked.target}),
        sources=ledger.sources,
        fields=reading.fields,
        target=checked.target,
        split_rows={split: int(rows.sum()) for split, rows in of_split.items()},
        targets={split: values[rows] for split, rows in of_split.items()},
        sizes={split: ledger.size[rows] for split, rows in of_split.items()},
        size_unit=reading.input.SIZE_UNIT,
        issues=findings.issues,
        issue_counts=dict(findings.counts),
        samples={group: [reading.input.show(row) for row in rows] for group, rows in samples.items()},
        quarantined=quarantined,
        quarantine_file=_QUARANTINE
        if quarantined and (data.on_bad_row == "quarantine" or not findings.errors)
        else None,
        extents={split: np.array(reading.extents)[rows] for split, rows in of_split.items()} if reading.extents else {},
        drawn=list(_drawn(reading, folder)),
    )


def _drawn(reading: Reading, folder: Path) -> Iterator[Drawn]:
    """Training rows from one end to the other, if such rows can be drawn."""
    with pa.memory_map(str(folder / "train.arrow")) as file:
        rows = pa.ipc.open_stream(file).read_all()
        for number in np.linspace(0, len(rows) - 1, min(len(rows), _DRAWN)).astype(int).tolist():
            values = tuple(rows.column(field)[number].as_py() for field in reading.fields)
            if (canvas := reading.input.canvas(values)) is None:
                return
            extent = reading.format.extent(values) if reading.format.extent else ()
            yield Drawn(canvas, extent, rows.column(TARGET)[number].as_py())


def _show(draft: Path, report: Path) -> None:
    """Put the report where people look, unless it lies there."""
    files = [str(file.relative_to(draft)) for file in draft.rglob("*") if file.is_file()]
    if len(filecmp.cmpfiles(draft, report, files, shallow=False)[0]) < len(files):
        with replacing(report) as staging:
            shutil.copytree(draft, staging, dirs_exist_ok=True)


def _stop_if_unusable(
    data: Data, summary: DataSummary, related: float | None, findings: Findings, report: Path
) -> None:
    first = findings.first_error
    if first is not None and data.on_bad_row == "stop":
        column = f", column {first.column!r}" if first.column else ""
        more = f"; {findings.errors - 1} more" if findings.errors > 1 else ""
        raise UserError(
            f"{first.file}, row {first.row}{column}: {first.message}{more} "
            f"(all in {report / 'report.md'}; data.on_bad_row=quarantine sets such rows aside)"
        )
    sources = ", ".join(summary.sources)
    aside = f" ({summary.quarantined} rows were set aside; {report / 'report.md'} says why)" if first else ""
    if reason := tasks.training(data.task).refusal(dict(summary.target)):
        raise UserError(f"{sources}: {reason}{aside}")
    for split, rows in summary.split_rows.items():
        if not rows:
            kept = ", as relatives stay on one side" if related else ""
            by = data.group_column or data.split_by_date
            needed = "rows" if by is None else f"values of {by!r}"
            raise UserError(f"{sources}: no row is left for {split}{kept}; more {needed} are needed{aside}")


def _stop_if_unservable(input_: TrainingInput, prepared: Prepared, sources: Sequence[str]) -> None:
    """Before anything is trained: a bundle shows test rows as examples, and is tried with them."""
    reason: str | None = None
    for row in prepared.each_row("test"):
        if (reason := input_.unservable(row)) is None:
            return
    raise UserError(f"{', '.join(sources)}: no test row could be asked of a server: the last {reason}")


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
