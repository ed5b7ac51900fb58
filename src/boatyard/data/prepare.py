"""Rows from the source to checked, split Arrow files that are read by memory map, and the data report."""

import filecmp
import json
import logging
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets import Dataset
from numpy.typing import NDArray

from boatyard import inputs, tasks
from boatyard.config.errors import UserError
from boatyard.config.plurals import counted
from boatyard.config.schema import Config, Data
from boatyard.data.arrow import open_set_aside, set_aside_unusable, write_splits
from boatyard.data.ledger import Findings
from boatyard.data.reading import Reading
from boatyard.data.relatives import KEPT_SPLITS, Earlier, keep_splits, read_earlier, share_related
from boatyard.data.report import write_data_report
from boatyard.data.sources import open_sources, other_columns
from boatyard.data.summarise import QUARANTINE, report_rows, summarise
from boatyard.data.summary import DataSummary
from boatyard.data.together import check_together
from boatyard.inputs.sources import SPLITS
from boatyard.inputs.training_protocol import TARGET, Source, TrainingInput
from boatyard.storage.fingerprint import code_of, fingerprint
from boatyard.storage.folders import locked, replacing
from boatyard.tasks.protocol import Target

log = logging.getLogger(__name__)

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
    with open_set_aside(draft / QUARANTINE, [*reading.fields, "target"]) as set_aside:
        reading.read(sources, rows, set_aside)
        checked = check_together(data, reading, rows, earlier)
        samples = write_splits(reading.ledger, reading.targets, checked.stored, checked.usable, reading.schema, staging)
        set_aside_unusable(reading.ledger, reading.targets, checked.unusable, rows, set_aside)
    rows.unlink()
    if checked.related is not None:
        keep_splits(draft / KEPT_SPLITS, reading.ledger, checked.related.groups, checked.usable)
        found = {**found, "relatives": checked.related}
    rows_report = report_rows(data, found, reading, checked.target, staging, draft)
    summary = summarise(data, reading, checked, samples, staging)
    write_data_report(draft, summary, data.task, rows_report)
    if summary.quarantine_file is None:
        (draft / QUARANTINE).unlink()
    _show(draft, report)
    related = None if checked.related is None else share_related(checked.related.groups, checked.usable)
    _stop_if_unusable(data, summary, related, reading.findings, report)
    before, after = given.model_dump(), data.model_dump()
    facts: dict[str, Any] = {key: getattr(summary, key) for key in ("fingerprint", "fields", "target")}
    facts["settled"] = {key: value for key, value in after.items() if before[key] != value}
    facts["related"] = related
    (staging / "prepared.json").write_text(json.dumps(facts | {"rows": summary.split_rows}, indent=2), encoding="utf-8")
    warnings = sum(count for kind, count in summary.issue_counts.items() if kind.startswith("warning:"))
    found_so = counted(sum(summary.split_rows.values()), "row")
    if warnings:
        found_so += f", {counted(warnings, 'warning')}"
    log.info("data: %s; report in %s", found_so, report)


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
    aside = (
        f" ({counted(summary.quarantined, 'row', ('was', 'were'))} set aside; {report / 'report.md'} says why)"
        if first
        else ""
    )
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
