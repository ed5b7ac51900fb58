"""The data report's part on boxes: how many there are, how large, of what shape and where."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from boatyard.data.summary import DataSummary
from boatyard.evaluate.markdown import escape, table
from boatyard.inputs.sources import SPLITS
from boatyard.tasks.detection.precision import LARGE, SMALL
from boatyard.tasks.detection.targets import boxes_of
from boatyard.tasks.protocol import Section
from boatyard.tasks.score import shown

_POINTS = (5, 50, 95)


def data_facts(summary: DataSummary) -> dict[str, Any]:
    """`classes`, the boxes of each by split, boxes per picture, and percentiles of the size by class."""
    boxes = {split: _all_boxes(summary, split) for split in SPLITS}
    return {
        "classes": list(summary.target["classes"]),
        "boxes": {split: _counts(summary, boxes[split]) for split in SPLITS},
        "boxes_per_row": {split: _mean_boxes(summary, split) for split in SPLITS},
        "sizes": {
            label: _percentiles(sizes(boxes["train"][boxes["train"][:, 0] == place]))
            for place, label in enumerate(summary.target["classes"])
        },
    }


def data_section(summary: DataSummary, folder: Path) -> list[Section]:
    """Draws `boxes.png`, `positions.png` and, of rows that can be drawn on, `samples.png`."""
    from boatyard.tasks.detection import data_plots  # most stages draw nothing

    classes, per_row = summary.target["classes"], [len(boxes_of(stored)) for stored in summary.targets["train"]]
    boxes = _all_boxes(summary, "train")
    parts = [_table(summary), *_sentences(boxes, per_row)]
    if len(boxes):
        data_plots.boxes_png(folder / "boxes.png", classes, boxes, per_row)
        places = boxes[:, 1:] / np.tile(_extents_of_boxes(summary, "train"), 2)
        data_plots.positions_png(folder / "positions.png", classes, places, boxes[:, 0])
        parts += ["![Boxes per picture, their sizes and shapes](boxes.png)", "![Where boxes are](positions.png)"]
    sections = [Section("Boxes", parts)]
    if summary.drawn:
        data_plots.samples_png(folder / "samples.png", classes, summary.drawn)
        sections.append(Section("Samples", ["![Training pictures with their boxes](samples.png)"]))
    return sections


def sizes(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """The side of a square of each box's area."""
    sides: NDArray[np.float32] = np.sqrt(np.prod(boxes[:, 3:5] - boxes[:, 1:3], axis=1))
    return sides


def _all_boxes(summary: DataSummary, split: str) -> NDArray[np.float32]:
    """[boxes, 5], of all pictures of the split."""
    return np.concatenate([boxes_of([]), *map(boxes_of, summary.targets[split])])


def _extents_of_boxes(summary: DataSummary, split: str) -> NDArray[np.float64]:
    """[boxes, 2]: width and height of the picture that each is in."""
    counts = [len(boxes_of(stored)) for stored in summary.targets[split]]
    return np.repeat(summary.extents[split], counts, axis=0)


def _counts(summary: DataSummary, boxes: NDArray[np.float32]) -> list[int]:
    counted: list[int] = np.bincount(boxes[:, 0].astype(int), minlength=len(summary.target["classes"])).tolist()
    return counted


def _mean_boxes(summary: DataSummary, split: str) -> float | None:
    rows = summary.targets[split]
    return len(_all_boxes(summary, split)) / len(rows) if len(rows) else None


def _percentiles(values: NDArray[np.float32]) -> dict[str, float] | None:
    if not len(values):
        return None
    return dict(zip((f"p{point}" for point in _POINTS), np.percentile(values, _POINTS).tolist(), strict=True))


def _table(summary: DataSummary) -> str:
    facts = data_facts(summary)
    header = ("Class", *(f"Boxes, {split}" for split in SPLITS), "Size, 5% up to", "Half up to", "95% up to")
    rows = []
    for place, label in enumerate(facts["classes"]):
        counts = [f"{facts['boxes'][split][place]:,}" for split in SPLITS]
        points = facts["sizes"][label]
        rows.append((escape(label), *counts, *([shown(x, 1) for x in points.values()] if points else ["n/a"] * 3)))
    return table(header, rows, align="lrrrrrr")


def _sentences(boxes: NDArray[np.float32], per_row: list[int]) -> Iterator[str]:
    yield "A box's size is the side of a square of its area, in pixels; sizes are of the training pictures."
    if not len(boxes):
        return
    sides = sizes(boxes)
    small, large = float((sides < SMALL).mean()), float((sides > LARGE).mean())
    empty = per_row.count(0)
    yield (
        f"A training picture has {np.mean(per_row):.1f} boxes on average and {max(per_row):,} at most; "
        f"{empty:,} of {len(per_row):,} have none. By COCO's measure {small:.0%} of boxes are small "
        f"(below {SMALL} x {SMALL} pixels) and {large:.0%} are large (above {LARGE} x {LARGE})."
    )
