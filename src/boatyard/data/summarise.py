"""What preparing found, brought together for the data report."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from boatyard.config.schema import Data
from boatyard.data.reading import Reading
from boatyard.data.summary import DataSummary, Drawn, Issue
from boatyard.data.together import Checked
from boatyard.inputs.sources import SPLITS
from boatyard.inputs.training_protocol import TARGET, RowReport
from boatyard.storage.fingerprint import file_digest, fingerprint
from boatyard.tasks.protocol import Target

log = logging.getLogger(__name__)

QUARANTINE = "quarantine.csv"
_DRAWN = 12  # rows in a report


def report_rows(
    data: Data, found: Mapping[str, Any], reading: Reading, target: Target, folder: Path, draft: Path
) -> RowReport:
    """The input's part of the report, on the training rows; what it warns of is found in the sources' first line."""
    with pa.memory_map(str(folder / "train.arrow")) as file:
        report = reading.input.report_rows(data, found, pa.ipc.open_stream(file).read_all(), target, draft)
    for kind, column, message in report.warnings:
        log.warning("data: %s%s", f"column {column!r} " if column else "", message)
        reading.findings.add(Issue("warning", kind, message, reading.sources[0], 1, column))
    return report


def summarise(
    data: Data, reading: Reading, checked: Checked, samples: Mapping[str, Sequence[tuple[Any, ...]]], folder: Path
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
        quarantine_file=QUARANTINE
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
