"""The evaluation report: the frame, and a classifier's part of it."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from boatyard.evaluate.compared import Compared
from boatyard.evaluate.plots import comparison_png
from boatyard.evaluate.report import COMPARISON, losing_sentence, losing_sentences, write_report
from boatyard.tasks.classification import metrics, plots
from boatyard.tasks.classification.metrics import calibration, calibration_error, score
from boatyard.tasks.classification.plots import calibration_png, confusion_png
from boatyard.tasks.classification.report import DOCUMENTS
from boatyard.tasks.classification.report import report as classification_report
from boatyard.tasks.protocol import ShownRows
from boatyard.tasks.score import Score, Scores

pytestmark = pytest.mark.unit

HOSTILE = "a | b\n\n# c `d` <script>alert(1)</script> $x_{$ \udc80"
CONFIG: Any = SimpleNamespace(evaluate=SimpleNamespace(top_k=3, mistakes=50))
TARGETS = np.arange(20) % 2


def probabilities_of(labels: list[str], confidence: float = 0.8) -> np.ndarray:
    """One mistake in twenty rows: the first's truth is 0, and its prediction 1."""
    probabilities = np.full((20, len(labels)), (1 - confidence) / len(labels))
    probabilities[np.arange(20), TARGETS] += confidence
    probabilities[0] = np.roll(probabilities[0], 1)
    return probabilities


def scores_of(labels: list[str]) -> Scores:
    return score({"probabilities": probabilities_of(labels)}, TARGETS, {"labels": labels}, CONFIG)


def baseline_of(model: Scores, accuracy: float = 0.0, macro_f1: float = 0.0) -> Compared:
    """Ahead of the model by so much."""
    of_model = model.by_name()
    scores = [
        Score("accuracy", of_model["accuracy"] + accuracy, 0.1, 0.2),
        Score("macro_f1", of_model["macro_f1"] + macro_f1),
    ]
    return Compared("counted words", "counting words", rows_used=9, seconds=1.5, scores=Scores(20, scores, {}))


Canvas = Callable[[int], NDArray[np.uint8] | None]


def write(
    folder: Path,
    labels: list[str],
    *,
    ahead: float = 0.0,
    row: str = "x",
    source: str = "test.csv:2",
    confidence: float = 0.8,
    canvas: Canvas = lambda _: None,
) -> str:
    outputs, target = {"probabilities": probabilities_of(labels, confidence)}, {"labels": labels}
    scores = score(outputs, TARGETS, target, CONFIG)
    shown = ShownRows([source] * 20, [row] * 20, canvas)
    write_report(
        folder,
        title="ferry",
        split="test",
        scores=scores,
        baseline=baseline_of(scores, ahead),
        fitted={},
        sections=classification_report(scores, outputs, TARGETS, target, shown, CONFIG, folder),
    )
    return (folder / "report.md").read_text(encoding="utf-8")


def test_the_report_sets_the_model_beside_the_baseline(tmp_path: Path) -> None:
    report = write(tmp_path, ["a", "b", "c", "d"])
    assert "| Accuracy | 0.950 (0.764 to 0.991) | 0.950 (0.100 to 0.200) |" in report
    assert "| Top-3 accuracy | 1.000 | n/a |" in report
    assert "counting words" in report
    assert "1.5 s" in report


def test_another_model_that_the_input_names_stands_between_model_and_baseline(tmp_path: Path) -> None:
    scores = scores_of(["a", "b", "c", "d"])
    ahead = [Score("accuracy", 0.97), Score("macro_f1", 0.9), Score("top3_accuracy", 2.0)]
    other = Compared("Trees", "a few trees", rows_used=5, seconds=0.25, scores=Scores(20, ahead, {}))
    baseline = baseline_of(scores, -0.1)
    assert losing_sentences(scores, baseline, other) == ["The model loses to trees by 0.0200 of accuracy."], (
        "what the baseline lacks is not compared"
    )
    write_report(
        tmp_path,
        title="ferry",
        split="test",
        scores=scores,
        baseline=baseline,
        fitted={},
        sections=[],
        alternative=other,
    )
    report = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "|  | Model | Trees | Baseline |" in report
    assert "| Accuracy | 0.950 (0.764 to 0.991) | 0.970 | 0.850 (0.100 to 0.200) |" in report
    assert "**The model loses to trees by 0.0200 of accuracy.**" in report
    assert "Trees: a few trees. Fitting it took 0.2 s. The baseline: counting words." in report
    assert f"({COMPARISON})" in report
    numbers = json.loads((tmp_path / "metrics.json").read_text(encoding="utf-8"))
    assert (numbers["alternative"]["name"], numbers["alternative"]["scores"][0]["value"]) == ("Trees", 0.97)


def test_models_are_drawn_by_the_scores_that_all_of_them_have(tmp_path: Path) -> None:
    scores = scores_of(["a", "b", "c", "d"])
    baseline = baseline_of(scores).scores
    comparison_png(tmp_path / "x.png", {"Model": scores, "Trees": scores, "Baseline": baseline})
    with Image.open(tmp_path / "x.png") as picture:
        two_of_four = picture.width
    assert two_of_four < 700, "accuracy and macro F1"


def test_top_k_is_left_out_where_it_is_certain(tmp_path: Path) -> None:
    assert "Top" not in write(tmp_path, ["a", "b", "c"])


def test_a_model_that_loses_is_reported_as_losing_and_by_how_much(tmp_path: Path) -> None:
    report = write(tmp_path, ["a", "b"], ahead=0.0125)
    assert "**The model loses to the baseline by 0.0125 of accuracy.**" in report


@pytest.mark.parametrize("ahead", [0.0, -0.01])
def test_a_model_that_draws_or_wins_is_not_said_to_lose(tmp_path: Path, ahead: float) -> None:
    assert "loses" not in write(tmp_path, ["a", "b"], ahead=ahead)


def test_losing_in_macro_f1_alone_is_losing_too() -> None:
    scores = scores_of(["a", "b"])
    sentence = losing_sentence(scores, baseline_of(scores, accuracy=-0.1, macro_f1=0.03).scores)
    assert sentence == "The model loses to the baseline by 0.0300 of macro F1."
    assert losing_sentence(scores, baseline_of(scores).scores) is None


@pytest.mark.parametrize(
    ("theirs", "sentence"),
    [
        ([4.0, 6.0, 0.5], None),
        ([2.5, 6.0, 0.5], "The model loses to the baseline by 0.5000 of mean absolute error."),
        ([2.5, 4.0, 0.5], "The model loses to the baseline by 0.5000 of mean absolute error and 1.0000 of rmse."),
        (
            [1, 4, 0.9],
            "The model loses to the baseline by 2.0000 of mean absolute error, 1.0000 of rmse and 0.2000 of R2.",
        ),
    ],
)
def test_where_less_is_better_the_larger_number_loses(theirs: list[float], sentence: str | None) -> None:
    higher = {"mean_absolute_error": False, "rmse": False, "r2": True}

    def scores(values: list[float]) -> Scores:
        named = zip(higher.items(), values, strict=True)
        return Scores(9, [Score(name, value, higher_is_better=up) for (name, up), value in named], {})

    assert losing_sentence(scores([3.0, 5.0, 0.7]), scores(theirs)) == sentence


def test_a_hair_is_not_rounded_to_no_loss() -> None:
    scores = scores_of(["a", "b"])
    sentence = losing_sentence(scores, baseline_of(scores, accuracy=0.00001).scores)
    assert sentence == "The model loses to the baseline by less than 0.0001 of accuracy."


def test_labels_are_listed_worst_first_and_unmeasured_ones_last(tmp_path: Path) -> None:
    report = write(tmp_path, ["missed once", "taken once", "absent"])
    assert report.index("| missed once |") < report.index("| taken once |") < report.index("| absent | n/a")
    assert "| missed once | taken once | 1 | 10.0% |" in report


def test_each_mistake_names_its_row_and_place(tmp_path: Path) -> None:
    row = "Where is " + "very " * 200
    report = write(tmp_path, ["card", "rate"], row=row, source="test.csv:17", confidence=0.974)
    line = next(line for line in report.splitlines() if "test.csv:17" in line)
    assert line.startswith("| 0.987 | rate | card | Where is very")
    assert "…" in line
    assert len(line) < 400


def test_hostile_rows_and_labels_break_nothing(tmp_path: Path) -> None:
    report = write(tmp_path, [HOSTILE, "$" + HOSTILE, "c"], row=HOSTILE, source=HOSTILE)
    assert "<script" not in report
    last = report.rstrip().splitlines()[-1]
    assert last.count("|") == 6
    numbers = json.loads((tmp_path / "metrics.json").read_text(encoding="utf-8"))
    assert numbers["detail"]["labels"][0] == HOSTILE


def test_the_json_leads_with_the_scores_and_keeps_the_tasks_detail_below(tmp_path: Path) -> None:
    write(tmp_path, ["a", "b", "c", "d"])
    numbers = json.loads((tmp_path / "metrics.json").read_text(encoding="utf-8"))
    named = {each["name"]: each["value"] for each in numbers["scores"]}
    assert next(iter(named)) == "accuracy"
    assert (named["accuracy"], named["top3_accuracy"]) == (0.95, 1)
    assert [each["name"] for each in numbers["baseline"]["scores"]] == ["accuracy", "macro_f1"]
    assert numbers["baseline"]["scores"][0]["value"] == 0.95
    assert "confusion" not in numbers
    assert [line[:2] for line in numbers["detail"]["confusion"][:2]] == [[9, 1], [0, 10]]
    assert [scores["label"] for scores in numbers["detail"]["per_class"]] == ["a", "b", "c", "d"]


def test_of_too_many_labels_the_json_holds_the_confusion_of_the_most_confused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "MOST_LABELS", 2)
    write(tmp_path, ["a", "b", "never", "nor this"])
    numbers = json.loads((tmp_path / "metrics.json").read_text(encoding="utf-8"))
    assert numbers["detail"]["labels"] == ["a", "b"]
    assert numbers["detail"]["confusion"] == [[9, 1], [0, 10]]
    assert len(numbers["detail"]["per_class"]) == 4


def test_the_report_embeds_plots_that_exist(tmp_path: Path) -> None:
    report = write(tmp_path, ["a", "b"], canvas=lambda _: np.zeros((30, 40, 3), np.uint8))
    assert {file.name for file in tmp_path.glob("*.png")} == set(DOCUMENTS)
    for name in DOCUMENTS:
        assert f"({name})" in report
        with Image.open(tmp_path / name) as picture:
            assert picture.format == "PNG"


def test_mistakes_are_drawn_only_where_rows_are(tmp_path: Path) -> None:
    assert "mistakes.png" not in write(tmp_path, ["a", "b"])
    assert not (tmp_path / "mistakes.png").exists()


def test_the_report_says_what_was_fitted_on_validation_and_what_it_gives(tmp_path: Path) -> None:
    target = {"labels": ["no", "yes"], "temperature": 0.5, "positive": "yes", "threshold": 0.95}
    outputs = {"probabilities": probabilities_of(["no", "yes"])}  # 0.9 for the likelier, which is 0.988 when colder
    scores = score(outputs, TARGETS, target, CONFIG)
    shown = ShownRows(["test.csv:2"] * 20, ["x"] * 20)
    sections = classification_report(scores, outputs, TARGETS, target, shown, CONFIG, tmp_path)
    report = {section.heading: " ".join(section.parts) for section in sections}
    before, after = scores.detail["calibration_error_as_trained"], scores.by_name()["expected_calibration_error"]
    assert (before, after) == (pytest.approx(0.05), pytest.approx(0.0378, abs=1e-3))
    assert f"error would be {before:.4f}, and it is {after:.4f}" in report["Calibration"]
    assert "yes is answered where its probability is 0.95 or more" in report["Threshold"]
    assert "a precision of 0.909 and a recall of 1.000, of 10 rows" in report["Threshold"]
    assert "Threshold" not in write(tmp_path, ["a", "b"])


@pytest.mark.slow
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
    bins = calibration(TARGETS, probabilities_of(["a", "b"]))
    calibration_png(tmp_path / "x.png", bins[:1], calibration_error(bins[:1]))
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")
