"""Rows from the source to checked, split Arrow files that are read by memory map, and the data report."""

import filecmp
import json
import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from datasets import Dataset
from tqdm import tqdm

from boatyard.config.errors import UserError
from boatyard.config.schema import Config, Data
from boatyard.data.arrow import Writer, open_set_aside, set_aside_unusable, write_splits
from boatyard.data.read import SPLITS, Source, fetched, find_sources
from boatyard.data.report import write_data_report
from boatyard.data.summary import DataSummary, Issue
from boatyard.data.validate import (
    TRAIN,
    Findings,
    Ledger,
    Problem,
    assign_splits,
    check_label,
    check_labels,
    check_quotes,
    check_spelling,
    check_split,
    check_texts,
    compare_rows,
    content_hash,
    folded,
    whole,
)
from boatyard.inputs import training
from boatyard.inputs.protocol import TrainingKind
from boatyard.inputs.texts import normal_form
from boatyard.storage.fingerprint import code_of, file_digest, fingerprint
from boatyard.storage.folders import alone, replacing

log = logging.getLogger(__name__)

_BATCH = 10_000  # rows held in memory at once


@dataclass(frozen=True)
class Prepared:
    """Checked rows, and the fingerprint of their content.

    `splits`: train, validation, test, with a column for each field, `label`, `source`, `row`.
    """

    folder: Path
    fingerprint: str
    fields: list[str]
    labels: list[str]
    splits: dict[str, Dataset]

    def rows(self, split: str) -> list[tuple[str, ...]]:
        """The split's inputs, each a tuple of its fields."""
        rows = self.splits[split]
        return list(zip(*(rows[field][:] for field in self.fields), strict=True))

    def labelled(self, split: str) -> list[tuple[tuple[str, ...], str]]:
        """The split's inputs, each with its label."""
        return list(zip(self.rows(split), (self.labels[i] for i in self.targets(split)), strict=True))

    def targets(self, split: str) -> npt.NDArray[np.int64]:
        """The split's labels as positions in `labels`, int64[rows]."""
        return np.asarray(self.splits[split].with_format("numpy")["label"][:], np.int64)


def prepare(config: Config) -> Prepared:
    """Read, check, split and store the rows of `config.data`, unless just these are stored already.

    Raises:
        UserError: the rows cannot be used as they are; names file, row and column.
    """
    data = config.data
    kind = training(data.kind)
    sources = find_sources(fetched(data, Path(config.paths.processed, "fetched")))
    key = fingerprint(
        {
            "sources": [(s.name, s.split, s.digest) for s in sources],
            "data": data.model_dump(exclude={"path", "hub"}),
        },
        code=code_of("prepare", data.kind),
    )
    folder = Path(config.paths.processed, data.name, key)
    report = Path(config.paths.reports, "data", data.name)
    with alone(folder):
        if (folder / "prepared.json").exists():
            log.info("data: %s is prepared already (%s)", data.name, folder)
            _show(folder / "report", report)  # there may lie one of other rows or settings
        else:
            with replacing(folder) as staging:
                _prepare(data, kind, sources, staging, report)
    prepared = _open(folder)
    _stop_if_unservable(kind, prepared, [source.name for source in sources])
    return prepared


def _open(folder: Path) -> Prepared:
    facts = json.loads((folder / "prepared.json").read_text(encoding="utf-8"))
    splits = {split: Dataset.from_file(str(folder / f"{split}.arrow")) for split in SPLITS}
    return Prepared(folder, facts["fingerprint"], facts["fields"], facts["labels"], splits)


def _prepare(data: Data, kind: TrainingKind, sources: list[Source], staging: Path, report: Path) -> None:
    columns = kind.field_columns(data)
    findings = Findings()
    ledger = Ledger([source.name for source in sources])
    made = staging / "report"
    made.mkdir()
    quarantine = made / "quarantine.csv"
    with open_set_aside(quarantine, list(columns)) as set_aside:
        embedded = _read(data, kind, columns, sources, staging / "rows.arrow", ledger, findings, set_aside)
        assign_splits(ledger, data.validation_share, data.test_share)
        unusable = check_quotes(ledger, findings, embedded)
        unusable |= compare_rows(ledger, findings, data.label_column)
        usable = np.ones(len(ledger.row), bool)
        usable[list(unusable)] = False
        unusable |= check_labels(ledger, findings, usable, data.label_column, data.min_rows_per_label)
        usable[list(unusable)] = False
        check_spelling(ledger, findings, data.label_column)
        labels = sorted({ledger.labels[number] for number in np.unique(ledger.label[usable])})
        if data.max_train_rows is not None:
            usable = _fewer(ledger, usable, data.max_train_rows, len(labels))
        samples = write_splits(ledger, usable, labels, list(columns), staging)
        set_aside_unusable(ledger, unusable, staging / "rows.arrow", set_aside)
    (staging / "rows.arrow").unlink()

    files = {split: file_digest(staging / f"{split}.arrow") for split in SPLITS}
    content = fingerprint({"files": files, "fields": list(columns), "labels": labels})
    summary = DataSummary(
        name=data.name,
        fingerprint=content,
        sources=ledger.sources,
        fields=list(columns),
        labels=labels,
        split_rows={split: int((ledger.split[usable] == i).sum()) for i, split in enumerate(SPLITS)},
        label_counts=_label_counts(ledger, usable, labels),
        lengths={split: ledger.length[usable & (ledger.split == i)] for i, split in enumerate(SPLITS)},
        length_unit=kind.LENGTH_UNIT,
        issues=findings.issues,
        issue_counts=dict(findings.counts),
        samples=samples,
        quarantined=findings.unreadable + len(unusable),
        quarantine_file=quarantine.name if data.on_bad_row == "quarantine" and findings.errors else None,
    )
    write_data_report(made, summary)
    if summary.quarantine_file is None:
        quarantine.unlink()
    _show(made, report)
    _stop_if_unusable(data, summary, findings, report)
    facts = {"fingerprint": content, "fields": list(columns), "labels": labels, "rows": summary.split_rows}
    (staging / "prepared.json").write_text(json.dumps(facts, indent=2), encoding="utf-8")
    log.info("data: %s rows of %d labels; report in %s", sum(summary.split_rows.values()), len(labels), report)


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
    if len(summary.labels) < 2:
        raise UserError(f"{sources}: a classifier needs at least two labels, found {summary.labels}{aside}")
    for split, rows in summary.split_rows.items():
        if not rows:
            raise UserError(f"{sources}: no row is left for {split}; more rows are needed{aside}")


def _stop_if_unservable(kind: TrainingKind, prepared: Prepared, sources: Sequence[str]) -> None:
    """Before anything is trained: a bundle shows test rows as examples, and is tried with them."""
    reason: str | None = None
    for batch in prepared.splits["test"].select_columns(prepared.fields).iter(batch_size=100):
        for row in zip(*batch.values(), strict=True):
            if (reason := kind.unservable(row)) is None:
                return
    raise UserError(f"{', '.join(sources)}: no test row could be asked of a server: the last {reason}")


def _read(
    data: Data,
    kind: TrainingKind,
    columns: dict[str, str],
    sources: Sequence[Source],
    target: Path,
    ledger: Ledger,
    findings: Findings,
    set_aside: Writer,
) -> dict[int, list[str]]:
    """Stream every source: readable rows go to `target` and the ledger, the others are set aside.

    Returns, by line of the ledger, the labels of lines inside a row that would be rows by themselves.
    """
    wanted = [*columns.values(), *(normal_form(c) for c in (data.label_column, data.split_column) if c)]
    inputs = len(columns)
    embedded: dict[int, list[str]] = {}
    schema = pa.schema([(name, pa.string()) for name in (*columns, "label")])
    batch: list[tuple[str, ...]] = []
    with pa.ipc.new_stream(target, schema) as stream:

        def flush() -> None:
            stream.write_batch(pa.record_batch([pa.array(column) for column in zip(*batch, strict=True)], schema))
            batch.clear()

        for number, source in enumerate(sources):
            given = -1 if source.split is None else SPLITS.index(source.split)
            for row in tqdm(source.rows(wanted), f"reading {source.name}", unit=" rows", leave=False, disable=None):
                values = row.values
                problem = Problem("malformed", None, row.wrong) if row.wrong is not None else None
                if problem is None:
                    values[inputs] = _label_text(values[inputs])
                    problem = check_texts(values[: inputs + 1], wanted[: inputs + 1])
                if problem is None and data.split_column:
                    given, problem = check_split(values[-1], data.split_column)
                if problem is None:
                    problem = check_label(normal_form(values[inputs]), data.label_column)
                if problem is not None:
                    findings.add(Issue("error", problem.kind, problem.message, source.name, row.number, problem.column))
                    findings.unreadable += 1
                    why = f"{problem.column} {problem.message}" if problem.column else problem.message
                    cells = [*values, *[""] * inputs][: inputs + 1]  # a row that is malformed has but its text
                    set_aside.writerow([source.name, row.number, why, *cells])
                    continue
                texts, label = tuple(values[:inputs]), normal_form(values[inputs])
                if reason := kind.unservable(texts):
                    message = f"{reason}: it is trained on, and could not be asked"
                    findings.add(Issue("warning", "unservable", message, source.name, row.number, None))
                if row.embedded:
                    embedded[len(ledger)] = [normal_form(each[inputs]) for each in row.embedded]
                words = kind.words(texts)
                ledger.add(
                    number,
                    row.number,
                    given,
                    label,
                    content_hash(whole(texts)),
                    content_hash(folded(words, texts)),
                    len(words),
                )
                batch.append((*texts, label))
                if len(batch) == _BATCH:
                    flush()
        if batch:
            flush()
    ledger.close()
    return embedded


def _label_text(value: object) -> object:
    """Class numbers and truth values are labels too, once they are written out."""
    return str(value) if isinstance(value, int) else value


def _fewer(ledger: Ledger, usable: npt.NDArray[np.bool_], most: int, labels: int) -> npt.NDArray[np.bool_]:
    """`usable` with `most` training rows: one of each label, and else those of the smallest hashes, so always the same.

    Raises:
        UserError: `most` is less than one for each label.
    """
    if most < labels:
        raise UserError(f"data.max_train_rows={most} is too few: each of the {labels} labels needs a training row")
    rows = np.flatnonzero(usable & (ledger.split == TRAIN))
    rows = rows[np.argsort(ledger.exact[rows], kind="stable")]
    _, first_of_label = np.unique(ledger.label[rows], return_index=True)
    others = np.delete(np.arange(len(rows)), first_of_label)[: most - len(first_of_label)]
    fewer = usable.copy()
    fewer[np.delete(rows, np.union1d(first_of_label, others))] = False
    return fewer


def _label_counts(ledger: Ledger, usable: npt.NDArray[np.bool_], labels: list[str]) -> dict[str, list[int]]:
    order = [ledger.label_numbers[label] for label in labels]
    return {
        split: np.bincount(ledger.label[usable & (ledger.split == i)], minlength=len(ledger.labels))[order].tolist()
        for i, split in enumerate(SPLITS)
    }
