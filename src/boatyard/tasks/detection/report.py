"""A detector's part of the evaluation report and of the model card."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from boatyard.config.schema import Config
from boatyard.evaluate.markdown import escape, shorten, table
from boatyard.tasks.defaults import fit_files, fit_map  # noqa: F401 - for `training`
from boatyard.tasks.detection.matching import FOUND_AT, Found, There
from boatyard.tasks.detection.metrics import found_in, losses_at, there_in
from boatyard.tasks.detection.mistakes import Mistake, confident_mistakes
from boatyard.tasks.detection.precision import LARGE, SMALL, matches
from boatyard.tasks.protocol import Outputs, Section, ShownRows, Target
from boatyard.tasks.score import Scores, shown

if TYPE_CHECKING:
    from boatyard.tasks.detection.plots import Canvas

DOCUMENTS = ("curves.png", "answers.png", "mistakes.png")
_LONGEST_ROW = 200
_DRAWN = 12  # mistakes
_SAMPLES = 8
_SPANS = {
    "small": f"up to {SMALL} x {SMALL}",
    "medium": f"up to {LARGE} x {LARGE}",
    "large": f"above {LARGE} x {LARGE}",
}


def report(
    scores: Scores,
    outputs: Outputs,
    targets: NDArray[Any],
    target: Target,
    rows: ShownRows,
    config: Config,
    folder: Path,
) -> list[Section]:
    """By class and by size, precision against recall, the most confident mistakes, and the rows that went worst."""
    from boatyard.tasks.detection.plots import curves_png  # most stages draw nothing

    found, there, classes = found_in(outputs), there_in(targets), target["classes"]
    of_classes = matches(found, there, len(classes), at=[FOUND_AT])
    curves = {name: each.curve() for name, each in zip(classes, of_classes, strict=True)}
    curves_png(folder / "curves.png", curves, target["threshold"])
    mistakes = confident_mistakes(found, there, classes, config.evaluate.mistakes)
    answered = [each.at_least(target["threshold"]) for each in found]
    samples = _draw_answers(folder / "answers.png", outputs, target, rows, answered, there)
    drawn = _draw_mistakes(folder / "mistakes.png", mistakes[:_DRAWN], outputs, target, rows, found, there)
    return [
        *([Section("Answers", samples)] if samples else []),
        Section("By class", [_by_class(scores)]),
        Section("By size", [_by_size(scores)]),
        Section(
            "Precision and recall",
            [
                f"At an overlap of {FOUND_AT:g}; the dots are where the threshold {target['threshold']:g} is, which "
                "did best on validation.",
                "![Precision against recall, by class](curves.png)",
            ],
        ),
        Section("The most confident mistakes", [*drawn, _mistakes(mistakes, classes, rows, found)]),
        Section("The worst rows", [_worst(rows, target["threshold"], found, there, config.evaluate.mistakes)]),
    ]


def card_parts(target: Target, scores: Scores) -> list[Section]:
    """What an answer says, and how well each class is found."""
    classes = ", ".join(escape(name) for name in target["classes"])
    says = (
        f"Boxes around each {classes}, in pixels of the picture as a viewer shows it. An object is answered from a "
        f"score of {target['threshold']:g} on, which did best on validation; `?threshold=` asks for another."
    )
    return [
        Section("What it answers", [says]),
        Section("By class", [_by_class(scores)]),
        Section("By size", [_by_size(scores)]),
    ]


def _draw_answers(
    path: Path, outputs: Outputs, target: Target, rows: ShownRows, answered: list[Found], there: list[There]
) -> list[str]:
    """Rows from one end to the other; nothing where rows are not drawn."""
    from boatyard.tasks.detection.plots import answers_png

    drawn = _canvases(np.linspace(0, len(there) - 1, min(len(there), _SAMPLES)).astype(int).tolist(), outputs, rows)
    if not drawn:
        return []
    answers_png(path, target["classes"], drawn, answered, there)
    said = "In the colour of its class is what is answered, in white what is there."
    return [said, "![Rows with what is answered and what is there](answers.png)"]


def _draw_mistakes(
    path: Path,
    mistakes: list[Mistake],
    outputs: Outputs,
    target: Target,
    rows: ShownRows,
    found: list[Found],
    there: list[There],
) -> list[str]:
    """Nothing where rows are not drawn."""
    from boatyard.tasks.detection.plots import mistakes_png

    drawn = _canvases([each.picture for each in mistakes], outputs, rows)
    if not drawn:
        return []
    mistakes_png(path, target["classes"], mistakes, drawn, found, there)
    return ["Red is wrong; what is there is white.", "![The most confident mistakes](mistakes.png)"]


def _canvases(numbers: Sequence[int], outputs: Outputs, rows: ShownRows) -> list["Canvas"]:
    """Of an input that draws its rows, of each."""
    from boatyard.tasks.detection.plots import Canvas

    drawn = [(number, rows.canvas(number), outputs["size"][number].tolist()) for number in numbers]
    return [Canvas(number, pixels, extent) for number, pixels, extent in drawn if pixels is not None]


def _mistakes(mistakes: list[Mistake], classes: list[str], rows: ShownRows, found: list[Found]) -> str:
    lines = [
        (
            escape(rows.sources[each.picture]),
            shorten(rows.texts[each.picture], _LONGEST_ROW),
            escape(classes[found[each.picture].classes[each.place]]),
            shown(each.score, 2),
            escape(each.why),
        )
        for each in mistakes
    ]
    return table(("Where", "Row", "Found", "Score", "It is"), lines, align="lllrl") if lines else "None."


def _worst(rows: ShownRows, threshold: float, found: list[Found], there: list[There], most: int) -> str:
    losses = losses_at(found, there, threshold)
    lines = [
        (
            escape(rows.sources[place]),
            shorten(rows.texts[place], _LONGEST_ROW),
            shown(1 - losses[place], 2),
            str(len(found[place].at_least(threshold).boxes)),
            str(len(there[place].boxes)),
        )
        for place in np.argsort(-losses, kind="stable")[:most].tolist()
        if losses[place]
    ]
    return table(("Where", "Row", "F1", "Found", "There"), lines, align="llrrr") if lines else "None."


def _by_class(scores: Scores) -> str:
    return _precisions("Class", scores.detail["by_class"])


def _by_size(scores: Scores) -> str:
    by_size = {f"{name}, {_SPANS[name]} pixels": each for name, each in scores.detail["by_size"].items()}
    return _precisions("Area, as COCO has it", by_size)


def _precisions(heading: str, groups: Mapping[str, Mapping[str, Any]]) -> str:
    lines = [
        (
            escape(name),
            f"{each['boxes']:,}",
            *("n/a" if each[score] is None else shown(each[score], 3) for score in ("map50", "map")),
        )
        for name, each in groups.items()
    ]
    return table((heading, "Boxes", "mAP50", "mAP50:95"), lines, align="lrrr")
