"""The data report: what the rows are like and what is wrong with them."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from boatyard import tasks
from boatyard.config.plurals import counted
from boatyard.data.summary import DataSummary, Issue
from boatyard.evaluate.markdown import escape, shorten, table
from boatyard.inputs.training_protocol import RowReport
from boatyard.tasks.protocol import Section

MOST_ISSUES = 100
LONGEST_ROW = 200


def write_data_report(folder: Path, summary: DataSummary, task: str, rows: RowReport = RowReport()) -> None:  # noqa: B008 - it is frozen
    """Write `report.md`, `report.json`, `sizes.png` and the task's own pictures into `folder`.

    `rows`: the input's part.
    """
    from boatyard.data.plots import sizes_png  # most stages draw nothing

    folder.mkdir(parents=True, exist_ok=True)
    of_task = tasks.training(task)
    sizes_png(folder / "sizes.png", summary.sizes, summary.size_unit)
    facts = json.dumps(_facts(summary) | of_task.data_facts(summary) | dict(rows.facts), indent=2, ensure_ascii=False)
    # a lone surrogate, which UTF-8 cannot hold, is written as the JSON escape that it is
    (folder / "report.json").write_text(facts + "\n", encoding="utf-8", errors="backslashreplace")
    sections = [*of_task.data_section(summary, folder), *rows.sections]
    (folder / "report.md").write_text(render(summary, sections), encoding="utf-8")


def render(summary: DataSummary, sections: Sequence[Section]) -> str:
    """The Markdown of the report, which shows the plots that lie beside it. `sections`: the task's and the input's."""
    return "\n\n".join(_parts(summary, sections)) + "\n"


def _facts(summary: DataSummary) -> dict[str, Any]:
    return {
        "name": summary.name,
        "fingerprint": summary.fingerprint,
        "sources": list(summary.sources),
        "fields": list(summary.fields),
        "split_rows": dict(summary.split_rows),
        "size_unit": summary.size_unit,
        "sizes": {split: _percentiles(values) for split, values in summary.sizes.items()},
        "issue_counts": dict(summary.issue_counts),
        "issues": [asdict(issue) for issue in summary.issues],
        "quarantined": summary.quarantined,
        "quarantine_file": summary.quarantine_file,
        "samples": {group: list(rows) for group, rows in summary.samples.items()},
    }


def _percentiles(sizes: Sequence[int] | NDArray[np.integer[Any]]) -> dict[str, int] | None:
    if not len(sizes):
        return None
    # a size that a row has, rather than one between two rows
    points = np.percentile(np.asarray(sizes), [50, 95, 99, 100], method="higher")
    return dict(zip(("p50", "p95", "p99", "max"), map(int, points), strict=True))


def _parts(summary: DataSummary, sections: Sequence[Section]) -> Iterator[str]:
    yield f"# Data: {escape(summary.name)}"
    yield _overview(summary)
    for section in sections:
        yield f"## {section.heading}"
        yield from section.parts
    yield "## Sizes"
    yield _sizes(summary)
    yield "![Sizes of the rows](sizes.png)"
    yield "## Findings"
    yield from _findings(summary)
    yield "## A few rows"
    yield _samples(summary)


def _overview(summary: DataSummary) -> str:
    splits = [(f"Rows, {split}", f"{rows:,}") for split, rows in summary.split_rows.items()]
    facts = [
        ("Fields", ", ".join(summary.fields)),
        ("Sources", ", ".join(summary.sources)),
        ("Fingerprint", summary.fingerprint),
    ]
    return table(("", ""), [*splits, *facts])


def _sizes(summary: DataSummary) -> str:
    header = (f"Size in {summary.size_unit}", "Half of rows up to", "95% up to", "99% up to", "Largest")
    rows = []
    for split, sizes in summary.sizes.items():
        points = _percentiles(sizes)
        rows.append((split, *(f"{point:,}" for point in points.values())) if points else (split, *["n/a"] * 4))
    return table(header, rows, align="lrrrr")


def _findings(summary: DataSummary) -> Iterator[str]:
    if summary.quarantined and summary.quarantine_file:
        yield f"{counted(summary.quarantined, 'row', ('was', 'were'))} set aside in {escape(summary.quarantine_file)}."
    # errors first, then rare kinds first, so that a flood of one kind leaves room to list the others
    kinds = sorted(summary.issue_counts.items(), key=lambda item: (item[0].startswith("warning"), item[1]))
    if not kinds:
        yield "None."
        return
    yield table(
        ("Severity", "Kind", "Found"),
        [(*key.split(":", 1), f"{count:,}") for key, count in kinds],
        align="llr",
    )
    room = MOST_ISSUES
    for key, count in kinds:
        listed = [issue for issue in summary.issues if f"{issue.severity}:{issue.kind}" == key][:room]
        room -= len(listed)
        yield f"### {escape(key.replace(':', ', ', 1).replace('_', ' '))}"
        if listed:
            yield table(("Where", "Column", "What"), [_place_and_message(issue) for issue in listed])
        if count > len(listed):
            yield f"{count - len(listed):,} more." if listed else f"{count:,}, not listed here."


def _place_and_message(issue: Issue) -> tuple[str, str, str]:
    return f"{issue.file}:{issue.row}", issue.column or "", shorten(issue.message, LONGEST_ROW)


def _samples(summary: DataSummary) -> str:
    rows = []
    for group, samples in summary.samples.items():
        for index, sample in enumerate(samples):
            rows.append((group if index == 0 else "", shorten(sample, LONGEST_ROW)))
    return table(("Target", "Row"), rows) if rows else "None."
