import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from boatyard.evaluate import plots, report
from boatyard.evaluate.metrics import BaselineScore, Metrics, Mistake, score
from boatyard.evaluate.plots import calibration_png, confusion_png
from boatyard.evaluate.report import losing_sentence, render, write_report

pytestmark = pytest.mark.unit

HOSTILE = "a | b\n\n# c `d` <script>alert(1)</script> $x_{$ \udc80"


def metrics_of(labels: list[str]) -> Metrics:
    targets = np.arange(20) % 2
    probabilities = np.full((20, len(labels)), 0.2 / len(labels))
    probabilities[np.arange(20), targets] += 0.8
    probabilities[0] = np.roll(probabilities[0], 1)  # one mistake: truth 0, prediction 1
    return score(targets, probabilities, labels)


def baseline_of(metrics: Metrics, accuracy: float = 0.0, macro_f1: float = 0.0) -> BaselineScore:
    """Ahead of the model by so much."""
    return BaselineScore(
        name="counted words",
        description="counting words",
        rows_used=9,
        seconds=1.5,
        accuracy=metrics.accuracy + accuracy,
        accuracy_interval=(0.1, 0.2),
        macro_f1=metrics.macro_f1 + macro_f1,
    )


def report_of(labels: list[str], *, ahead: float = 0.0, mistakes: Sequence[Mistake] = ()) -> str:
    metrics = metrics_of(labels)
    baseline = baseline_of(metrics, ahead)
    return render(title="inbox", split="test", metrics=metrics, baseline=baseline, mistakes=mistakes)


def write(folder: Path, labels: list[str], *, mistakes: Sequence[Mistake] = ()) -> str:
    metrics = metrics_of(labels)
    baseline = baseline_of(metrics)
    write_report(folder, title="inbox", split="test", metrics=metrics, baseline=baseline, mistakes=mistakes)
    return (folder / "report.md").read_text(encoding="utf-8")


def test_the_report_sets_the_model_beside_the_baseline() -> None:
    report = report_of(["a", "b", "c", "d"])
    assert "| Accuracy | 0.950 (0.764 to 0.991) | 0.950 (0.100 to 0.200) |" in report
    assert "| Top-3 accuracy | 1.000 | n/a |" in report
    assert "counting words" in report
    assert "1.5 s" in report


def test_top_k_is_left_out_where_it_is_certain() -> None:
    assert "Top-3" not in report_of(["a", "b", "c"])


def test_a_model_that_loses_is_reported_as_losing_and_by_how_much() -> None:
    assert "**The model loses to the baseline by 1.25 points of accuracy.**" in report_of(["a", "b"], ahead=0.0125)


@pytest.mark.parametrize("ahead", [0.0, -0.01])
def test_a_model_that_draws_or_wins_is_not_said_to_lose(ahead: float) -> None:
    assert "loses" not in report_of(["a", "b"], ahead=ahead)


def test_losing_in_macro_f1_alone_is_losing_too() -> None:
    metrics = metrics_of(["a", "b"])
    sentence = losing_sentence(metrics, baseline_of(metrics, accuracy=-0.1, macro_f1=0.03))
    assert sentence == "The model loses to the baseline by 3.00 points of macro-F1."
    assert losing_sentence(metrics, baseline_of(metrics)) is None


def test_a_hair_is_not_rounded_to_no_loss() -> None:
    metrics = metrics_of(["a", "b"])
    sentence = losing_sentence(metrics, baseline_of(metrics, accuracy=0.00001))
    assert sentence == "The model loses to the baseline by less than 0.01 points of accuracy."


def test_labels_are_listed_worst_first_and_unmeasured_ones_last() -> None:
    report = report_of(["missed once", "taken once", "absent"])
    assert report.index("| missed once |") < report.index("| taken once |") < report.index("| absent | n/a")
    assert "| missed once | taken once | 1 | 10.0% |" in report


def test_each_mistake_names_its_row_and_place() -> None:
    mistake = Mistake("test.csv:17", "Where is " + "very " * 200, "card", "rate", 0.987)
    report = report_of(["a", "b"], mistakes=[mistake])
    line = next(line for line in report.splitlines() if "test.csv:17" in line)
    assert line.startswith("| 0.987 | rate | card | Where is very")
    assert "…" in line
    assert len(line) < 400


def test_hostile_rows_and_labels_break_nothing(tmp_path: Path) -> None:
    mistake = Mistake(HOSTILE, HOSTILE, HOSTILE, HOSTILE, 0.5)
    report = write(tmp_path, [HOSTILE, "$" + HOSTILE, "c"], mistakes=[mistake])
    assert "<script" not in report
    last = report.rstrip().splitlines()[-1]
    assert last.count("|") == 6
    numbers = json.loads((tmp_path / "metrics.json").read_text(encoding="utf-8"))
    assert numbers["detail"]["labels"][0] == HOSTILE


def test_the_json_leads_with_the_headline_and_keeps_the_detail_below(tmp_path: Path) -> None:
    write(tmp_path, ["a", "b"])
    numbers = json.loads((tmp_path / "metrics.json").read_text(encoding="utf-8"))
    assert numbers["accuracy"] == 0.95
    assert numbers["top3_accuracy"] == 1
    assert numbers["baseline"]["accuracy"] == 0.95
    assert "confusion" not in numbers
    assert numbers["detail"]["confusion"] == [[9, 1], [0, 10]]
    assert [scores["label"] for scores in numbers["per_class"]] == ["a", "b"]


def test_of_too_many_labels_the_json_holds_the_confusion_of_the_most_confused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "MOST_LABELS", 2)
    write(tmp_path, ["a", "b", "never", "nor this"])
    numbers = json.loads((tmp_path / "metrics.json").read_text(encoding="utf-8"))
    assert numbers["detail"]["labels"] == ["a", "b"]
    assert numbers["detail"]["confusion"] == [[9, 1], [0, 10]]
    assert len(numbers["per_class"]) == 4


def test_the_report_embeds_plots_that_exist(tmp_path: Path) -> None:
    report = write(tmp_path, ["a", "b"])
    for name in ("confusion.png", "calibration.png"):
        assert f"({name})" in report
        with Image.open(tmp_path / name) as picture:
            assert picture.format == "PNG"


def test_more_classes_make_a_larger_picture_with_room_for_every_label(tmp_path: Path) -> None:
    sizes = {}
    for classes in (2, 77):
        path = tmp_path / f"{classes}.png"
        confusion_png(path, np.eye(classes, dtype=int), [f"label_{i}" for i in range(classes)])
        with Image.open(path) as picture:
            sizes[classes] = picture.size
        assert path.stat().st_size < 700_000
    assert sizes[2] < sizes[77]
    assert min(sizes[77]) > 77 * 20, "a line of text needs 20 pixels"


def share_of_red_and_blue(path: Path) -> tuple[float, float]:
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    redness = pixels[..., 0] - pixels[..., 2]
    return float((redness > 80).mean()), float((redness < -40).mean())


def test_mistakes_are_red_and_what_is_right_is_blue(tmp_path: Path) -> None:
    confusion_png(tmp_path / "x.png", np.array([[8, 2], [0, 10]]), ["a", "b"])
    red, blue = share_of_red_and_blue(tmp_path / "x.png")
    assert red > 0.1
    assert 1.5 * red < blue < 2.5 * red, "one cell is red, two are blue, one is empty"


def test_of_too_many_classes_those_with_the_most_mistakes_are_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plots, "MOST_CLASSES", 2)
    confusion = np.diag([8] * 40)
    confusion[39, 20] = 2
    confusion_png(tmp_path / "x.png", confusion, [str(i) for i in range(40)])
    red, blue = share_of_red_and_blue(tmp_path / "x.png")
    assert red > 0.1
    assert 1.5 * red < blue < 2.5 * red


def test_a_calibration_of_a_single_bin_can_be_drawn(tmp_path: Path) -> None:
    metrics = metrics_of(["a", "b"])
    one = replace(metrics, calibration=metrics.calibration[:1])
    calibration_png(tmp_path / "x.png", one.calibration, one.expected_calibration_error)
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")
