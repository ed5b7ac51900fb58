"""The bundled harbour is what its generator draws, and keeps what its README promises."""

import csv
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.unit

RAW = Path(__file__).parents[2] / "data" / "raw"
HARBOUR = RAW / "harbour"
Boxes = list[dict[str, str]]


@pytest.fixture(scope="module")
def boxes() -> Boxes:
    with (HARBOUR / "boxes.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("number", [1, 300])
def test_the_generator_draws_the_bundled_pictures(number: int, boxes: Boxes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(RAW), *sys.path])
    import harbour  # type: ignore[import-not-found]

    picture, drawn = harbour.make_scene(harbour.SEED + number)
    name = f"scenes/{number:04}.webp"
    bundled = np.asarray(Image.open(HARBOUR / name).convert("RGB"), int)
    assert np.abs(bundled - np.asarray(picture, int)).mean() < 6, "WebP is a little different"
    known = [
        (row["label"], *(float(row[edge]) for edge in ("x0", "y0", "x1", "y1")))
        for row in boxes
        if row["file"] == name and row["label"]
    ]
    assert known == drawn


def test_there_are_as_many_pictures_and_boxes_as_promised_in_small_files(boxes: Boxes) -> None:
    scenes = sorted(HARBOUR.glob("scenes/*.webp"))
    assert len(scenes) == 600
    assert {f"scenes/{scene.name}" for scene in scenes} == {row["file"] for row in boxes}
    assert Image.open(scenes[0]).size == (160, 160)
    assert sum(file.stat().st_size for file in HARBOUR.rglob("*")) < 2_500_000
    counts = Counter(row["label"] for row in boxes)
    assert counts.pop("") > 0, "in some pictures there is nothing"
    assert counts.keys() == {"boat", "buoy", "lighthouse"}
    assert counts.total() == 2_792
    assert min(counts.values()) > 300
