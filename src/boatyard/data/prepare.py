"""Rows from the source to checked, split Arrow files that are read by memory map, and the data report."""

import filecmp
import json
import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from datasets import Dataset
from numpy.typing import NDArray
from tqdm import tqdm

from boatyard import inputs, tasks
from boatyard.config.errors import UserError
from boatyard.config.schema import Config, Data
from boatyard.data.arrow import Writer, open_set_aside, set_aside_unusable, write_splits
from boatyard.data.ledger import TRAIN, Findings, Ledger, content_hash
from boatyard.data.report import write_data_report
from boatyard.data.sources import open_sources
from boatyard.data.summary import DataSummary, Issue
from boatyard.data.validate import assign_splits, check_quotes, check_split, compare_rows
from boatyard.inputs.protocol import Problem, Source, SourceRow, TrainingInput
from boatyard.inputs.sources import SPLITS
from boatyard.inputs.texts import normal_form
from boatyard.storage.fingerprint import code_of, file_digest, fingerprint
from boatyard.storage.folders import alone, replacing
from boatyard.tasks.protocol import Target, Targets

log = logging.getLogger(__name__)

_BATCH = 10_000  # rows held in memory at once


@dataclass(frozen=True)
class Prepared:
    """Checked rows, and the fingerprint of their content.

    `target`: the task's facts. `splits`: train, validation, test, with a column for each field, `target`, `source` and
    `row`.
    """

    folder: Path
    fingerprint: str
    fields: list[str]
    target: Target
    splits: dict[str, Dataset]

    def rows(self, split: str) -> list[tuple[Any, ...]]:
        """The split's inputs, each a tuple of its fields."""
        rows = self.splits[split]
        return list(zip(*(rows[field][:] for field in self.fields), strict=True))

    def targets(self, split: str) -> NDArray[Any]:
        """The split's targets as they are stored, [rows]."""
        stored: NDArray[Any] = self.splits[split].data.column("target").to_numpy()  # `with_format` has but float32
        return stored


def prepare(config: Config) -> Prepared:
    """Read, check, split and store the rows of `config.data`, unless just these are stored already.

    Raises:
        UserError: the rows cannot be used as they are; names file, row and column.
    """
    data, input_ = config.data, inputs.training(config.data.input)
    sources = open_sources(config)
    key = fingerprint(
        {
            "sources": [(source.name, source.split, source.digest) for source in sources],
            "data": data.model_dump(exclude={"path", "hub"}),
        },
        code=code_of("prepare", data.input, data.task),
    )
    folder = Path(config.paths.processed, data.name, key)
    report = Path(config.paths.reports, "data", data.name)
    with alone(folder):
        if (folder / "prepared.json").exists():
            log.info("data: %s is prepared already (%s)", data.name, folder)
            _show(folder / "report", report)  # there may lie one of other rows or settings
        else:
            with replacing(folder) as staging:
                _prepare(data, sources, staging, report)
    prepared = _open(folder)
    _stop_if_unservable(input_, prepared, [source.name for source in sources])
    return prepared


def _open(folder: Path) -> Prepared:
    facts = json.loads((folder / "prepared.json").read_text(encoding="utf-8"))
    splits = {split: Dataset.from_file(str(folder / f"{split}.arrow")) for split in SPLITS}
    return Prepared(folder, facts["fingerprint"], facts["fields"], facts["target"], splits)


def _prepare(data: Data, sources: Sequence[Source], staging: Path, report: Path) -> None:
    """Read, check and write: the report is made, and shown, even where the rows cannot be used."""
    reading = _Reading(data, [source.name for source in sources])
    rows, made = staging / "rows.arrow", staging / "report"
    made.mkdir()
    quarantine = made / "quarantine.csv"
    with open_set_aside(quarantine, [*reading.fields, "target"]) as set_aside:
        reading.read(sources, rows, set_aside)
        unusable = _check(data, reading)
        usable = np.ones(len(reading.ledger), bool)
        usable[list(unusable)] = False
        target = reading.targets.facts(reading.ledger, usable)
        if data.max_train_rows is not None:
            usable = _fewer(reading.ledger, reading.targets, usable, data.max_train_rows)
        stored = reading.targets.stored(target)
        samples = write_splits(reading.ledger, reading.targets, stored, usable, reading.schema, staging)
        set_aside_unusable(reading.ledger, reading.targets, unusable, rows, set_aside)
    rows.unlink()
    summary = _summary(data, reading, usable, stored, target, samples, len(unusable), quarantine.name, staging)
    write_data_report(made, summary, data.task)
    if summary.quarantine_file is None:
        quarantine.unlink()
    _show(made, report)
    _stop_if_unusable(data, summary, reading.findings, report)
    facts = {key: getattr(summary, key) for key in ("fingerprint", "fields", "target")}
    (staging / "prepared.json").write_text(json.dumps(facts | {"rows": summary.split_rows}, indent=2), encoding="utf-8")
    log.info("data: %s rows; report in %s", f"{sum(summary.split_rows.values()):,}", report)


@dataclass
class _Reading:
    """The readable rows of all sources: their places and hashes, their targets, and what is wrong with the others."""

    data: Data
    sources: Sequence[str]
    findings: Findings = field(default_factory=Findings)
    embedded: dict[int, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    """By line of the ledger, the cells of lines inside a row that would be rows by themselves."""

    def __post_init__(self) -> None:
        self.input = inputs.training(self.data.input)
        self.schema = pa.schema(list(self.input.fields(self.data).items()))
        self.fields: list[str] = self.schema.names
        self.ledger = Ledger(self.sources)
        self.targets: Targets = tasks.training(self.data.task).open_targets(self.data)
        self._columns = self.input.columns(self.data)
        self._row_of = self.input.reader(self.data)
        self._split_column = normal_form(self.data.split_column) if self.data.split_column else None

    def read(self, sources: Sequence[Source], file: Path, set_aside: Writer) -> None:
        """Stream every source: readable rows go to `file` and the ledger, the others are set aside."""
        batch: list[tuple[Any, ...]] = []
        with pa.ipc.new_stream(file, self.schema) as stream:

            def flush() -> None:
                columns = zip(self.schema, zip(*batch, strict=True), strict=True)
                stream.write_batch(
                    pa.record_batch([pa.array(values, column.type) for column, values in columns], self.schema)
                )
                batch.clear()

            for number, source in enumerate(sources):
                split = -1 if source.split is None else SPLITS.index(source.split)
                for row in tqdm(source.rows(), f"reading {source.name}", unit=" rows", leave=False, disable=None):
                    values = self._keep(number, split, row)
                    if isinstance(values, Problem):
                        self._set_aside(source.name, row, values, set_aside)
                        continue
                    batch.append(values)
                    if len(batch) == _BATCH:
                        flush()
            if batch:
                flush()
        self.ledger.close()
        self.targets.close()

    def _keep(self, source: int, split: int, row: SourceRow) -> tuple[Any, ...] | Problem:
        """The row's values, once it is in the ledger; or why it cannot be."""
        if row.wrong is not None:
            return Problem("malformed", None, row.wrong)
        values = self._row_of(row.cells)
        if isinstance(values, Problem):
            return values
        target = self.targets.read(row.cells)
        if isinstance(target, Problem):
            return target
        if self._split_column is not None:
            named = check_split(row.cells.get(self._split_column), self._split_column)
            if isinstance(named, Problem):
                return named
            split = named
        if reason := self.input.unservable(values):
            message = f"{reason}: it is trained on, and could not be asked"
            self.findings.add(Issue("warning", "unservable", message, self.sources[source], row.number, None))
        if row.embedded:
            self.embedded[len(self.ledger)] = row.embedded
        exact, group = content_hash(self.input.content_key(values)), content_hash(self.input.group_key(values))
        self.ledger.add(source, row.number, split, self.input.size(values), exact, group)
        self.targets.append(target)
        return values

    def _set_aside(self, source: str, row: SourceRow, problem: Problem, set_aside: Writer) -> None:
        self.findings.add(Issue("error", problem.kind, problem.message, source, row.number, problem.column))
        self.findings.unreadable += 1
        why = f"{problem.column} {problem.message}" if problem.column else problem.message
        columns = [*self._columns, self.targets.column]
        cells = [row.cells.get(column, "") for column in columns] if row.wrong is None else [row.text]
        set_aside.writerow([source, row.number, why, *cells, *[""] * (len(columns) - len(cells))])


def _check(data: Data, reading: _Reading) -> dict[int, str]:
    """Splits the rows, and compares them with each other. Returns those to set aside, each with the reason."""
    ledger, targets, findings = reading.ledger, reading.targets, reading.findings
    assign_splits(ledger, data.validation_share, data.test_share)
    unusable = check_quotes(ledger, targets, findings, reading.embedded)
    unusable |= compare_rows(ledger, targets, findings)
    usable = np.ones(len(ledger), bool)
    usable[list(unusable)] = False
    return unusable | targets.check(ledger, findings, usable)


def _summary(
    data: Data,
    reading: _Reading,
    usable: NDArray[np.bool_],
    stored: pa.Array,
    target: Target,
    samples: Mapping[str, Sequence[tuple[Any, ...]]],
    unusable: int,
    quarantine: str,
    folder: Path,
) -> DataSummary:
    ledger, findings = reading.ledger, reading.findings
    files = {split: file_digest(folder / f"{split}.arrow") for split in SPLITS}
    of_split = {split: usable & (ledger.split == number) for number, split in enumerate(SPLITS)}
    values = stored.to_numpy(zero_copy_only=False)
    return DataSummary(
        name=data.name,
        fingerprint=fingerprint({"files": files, "fields": reading.fields, "target": target}),
        sources=ledger.sources,
        fields=reading.fields,
        target=target,
        split_rows={split: int(rows.sum()) for split, rows in of_split.items()},
        targets={split: values[rows] for split, rows in of_split.items()},
        lengths={split: ledger.size[rows] for split, rows in of_split.items()},
        length_unit=reading.input.SIZE_UNIT,
        issues=findings.issues,
        issue_counts=dict(findings.counts),
        samples={group: [reading.input.show(row) for row in rows] for group, rows in samples.items()},
        quarantined=findings.unreadable + unusable,
        quarantine_file=quarantine if data.on_bad_row == "quarantine" and findings.errors else None,
    )


def _show(made: Path, report: Path) -> None:
    """Put the report where people look, unless it lies there."""
    shown = report / "report.json"
    if not shown.exists() or not filecmp.cmp(made / shown.name, shown, shallow=False):
        with replacing(report) as staging:
            shutil.copytree(made, staging, dirs_exist_ok=True)


def _stop_if_unusable(data: Data, summary: DataSummary, findings: Findings, report: Path) -> None:
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
            raise UserError(f"{sources}: no row is left for {split}; more rows are needed{aside}")


def _stop_if_unservable(input_: TrainingInput, prepared: Prepared, sources: Sequence[str]) -> None:
    """Before anything is trained: a bundle shows test rows as examples, and is tried with them."""
    reason: str | None = None
    for batch in prepared.splits["test"].select_columns(prepared.fields).iter(batch_size=100):
        for row in zip(*batch.values(), strict=True):
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
