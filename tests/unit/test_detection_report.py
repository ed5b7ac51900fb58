"""tasks/detection: what an evaluation says of found boxes, and the baseline that they are compared with."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from boatyard.inputs.image.features import ImageFeatures
from boatyard.tasks import training as task_of
from boatyard.tasks.detection.matching import Found, There
from boatyard.tasks.detection.metrics import losses_of
from boatyard.tasks.detection.mistakes import confident_mistakes
from boatyard.tasks.protocol import ShownRows
from boatyard.tasks.score import paired_interval

pytestmark = pytest.mark.unit

CLASSES = ["boat", "buoy"]
TARGET = {"classes": CLASSES, "threshold": 0.4}
CONFIG: Any = SimpleNamespace(evaluate=SimpleNamespace(mistakes=10))
task = task_of("detection")


def boxes(*each: list[float]) -> Any:
    return np.array(each, np.float32).reshape(-1, 4)


def stored(*rows: list[float]) -> Any:
    return np.array([*(np.array(row, np.float32) for row in rows), None], object)[:-1]


def answers(*rows: list[tuple[int, float, list[float]]]) -> dict[str, Any]:
    """Of each picture, of 160 x 120, classes, scores and boxes."""
    places, scores = np.zeros((len(rows), 4, 4), np.float32), np.zeros((len(rows), 4, 2), np.float32)
    for row, found in enumerate(rows):
        for place, (number, score, box) in enumerate(found):
            places[row, place], scores[row, place, number] = box, score
    return {"boxes": places, "scores": scores, "size": np.array([[160, 120]] * len(rows))}


def test_each_kind_of_mistake_is_told_from_the_others() -> None:
    there = [There(boxes([0, 0, 20, 20]), np.array([0]))] * 4
    found = [
        Found(boxes([0, 0, 20, 20], [0, 0, 20, 19]), np.array([0, 0]), np.array([0.9, 0.8])),
        Found(boxes([0, 0, 20, 20]), np.array([1]), np.array([0.7])),
        Found(boxes([0, 0, 20, 8]), np.array([0]), np.array([0.6])),
        Found(boxes([90, 90, 99, 99]), np.array([0]), np.array([0.5])),
    ]
    mistakes = confident_mistakes(found, there, CLASSES, 10)
    assert [mistake.picture for mistake in mistakes] == [0, 1, 2, 3]
    assert [mistake.why for mistake in mistakes] == [
        "a boat that is found already",
        "a boat",
        "beside a boat, with an overlap of 0.40",
        "nothing that is marked",
    ]


def test_the_report_has_sizes_classes_curves_and_draws_its_mistakes(tmp_path: Path) -> None:
    targets = stored([0, 0, 0, 20, 20], [1, 10, 10, 60, 60], [])
    outputs = answers([(0, 0.9, [0, 0, 20, 20])], [(1, 0.8, [10, 10, 60, 20])], [(0, 0.3, [5, 5, 9, 9])])
    scores = task.score(outputs, targets, TARGET, CONFIG)
    assert [(score.name, score.value) for score in scores.all][1:] == [("map50", 0.5), ("map", 0.5)]
    assert scores.detail["by_size"]["small"] == {"boxes": 1, "map50": 1.0, "map": 1.0}
    assert scores.detail["by_size"]["large"] == {"boxes": 0, "map50": None, "map": None}
    shown = ShownRows(["a.jpg", "b.jpg", "c.jpg"], ["x"] * 3, lambda _: np.zeros((12, 16, 3), np.uint8))
    text = "\n".join(
        "\n".join(section.parts) for section in task.report(scores, outputs, targets, TARGET, shown, CONFIG, tmp_path)
    )
    assert {file.name for file in tmp_path.iterdir()} == set(task.DOCUMENTS)
    assert "beside a buoy, with an overlap of 0.20" in text
    assert "small, up to 32 x 32 pixels" in text


def scene(random: np.random.Generator) -> tuple[bytes, list[float]]:
    """Red squares and white discs on blue."""
    from io import BytesIO

    picture = Image.new("RGB", (96, 72), (20, 60, 120))
    draw, objects = ImageDraw.Draw(picture), list[float]()
    for left, number in zip((4, 36, 66), random.integers(0, 2, 3).tolist(), strict=True):
        side, top = int(random.integers(10, 24)), int(random.integers(4, 44))
        place = (left, top, left + side - 1, top + side - 1)
        draw.rectangle(place, fill="red") if number else draw.ellipse(place, fill="white")
        objects += [number, left, top, left + side, top + side]
    written = BytesIO()
    picture.save(written, "PNG")
    return written.getvalue(), objects


def test_the_baseline_finds_what_stands_out_and_is_compared_row_by_row() -> None:
    random = np.random.default_rng(0)
    scenes = [scene(random) for _ in range(16)]
    rows, targets = [(content,) for content, _ in scenes], stored(*(objects for _, objects in scenes))
    target = {"classes": CLASSES}
    baseline = task.fit_baseline(ImageFeatures(), rows[:12], targets[:12], target, 0)
    outputs = baseline.outputs(rows[12:])
    found = task.score(outputs, targets[12:], target, CONFIG)
    assert found.all[1].value > 0.9
    assert found.primary.value > 0.8, "its own threshold is that of what has no other"
    blind = task.fallback(targets[:12], target).outputs(rows[12:])
    losses = [losses_of(each, targets[12:], target) for each in (blind, outputs)]
    assert paired_interval(*losses)[0] > 0
