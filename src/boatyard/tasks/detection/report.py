"""A detector's part of the evaluation report and of the model card."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from boatyard.config.schema import Config
from boatyard.evaluate.markdown import escape, shorten, table
from boatyard.tasks.detection.metrics import found_in, losses_at, there_in
from boatyard.tasks.protocol import Outputs, Section, ShownRows, Target
from boatyard.tasks.score import Scores, shown

DOCUMENTS: tuple[str, ...] = ()
_LONGEST_ROW = 200


def report(
    scores: Scores,
    outputs: Outputs,
    targets: NDArray[Any],
    target: Target,
    rows: ShownRows,
    config: Config,
    folder: Path,  # noqa: ARG001 - every task's signature
) -> list[Section]:
    """By class, and the pictures that went worst."""
    found, there = found_in(outputs), there_in(targets)
    losses = losses_at(found, there, target["threshold"])
    order = np.argsort(-losses, kind="stable")[: config.evaluate.mistakes]
    worst = [place for place in order.tolist() if losses[place]]
    mistakes = [
        (
            escape(rows.sources[place]),
            shorten(rows.texts[place], _LONGEST_ROW),
            shown(1 - losses[place], 2),
            str(int((found[place].scores >= target["threshold"]).sum())),
            str(len(there[place].boxes)),
        )
        for place in worst
    ]
    header = ("Where", "Row", "F1", "Found", "There")
    return [
        Section("By class", [_by_class(scores)]),
        Section("The worst rows", [table(header, mistakes, align="llrrr") if mistakes else "None."]),
    ]


def card_parts(target: Target, scores: Scores) -> list[Section]:
    """What an answer says, and how well each class is found."""
    classes = ", ".join(escape(name) for name in target["classes"])
    says = (
        f"Boxes around each {classes}, in pixels of the picture as a viewer shows it. An object is answered from a "
        f"score of {target['threshold']:g} on, which did best on validation; `?threshold=` asks for another."
    )
    return [Section("What it answers", [says]), Section("By class", [_by_class(scores)])]


def _by_class(scores: Scores) -> str:
    lines = [
        (escape(name), *((shown(of_class["map50"]), shown(of_class["map"])) if of_class else ("n/a", "n/a")))
        for name, of_class in scores.detail["by_class"].items()
    ]
    return table(("Class", "mAP50", "mAP"), lines, align="lrr")
