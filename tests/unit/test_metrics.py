"""What a classifier's scores are, by other means and by hand."""

import warnings
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import f1_score, top_k_accuracy_score

from boatyard.tasks.classification.metrics import (
    CalibrationBin,
    ClassScore,
    calibration,
    calibration_error,
    confused_pairs,
    losses,
    score,
)
from boatyard.tasks.classification.ranking import ranking
from boatyard.tasks.classification.report import confident_mistakes
from boatyard.tasks.classification.serving import accuracy
from boatyard.tasks.protocol import ShownRows
from boatyard.tasks.score import Scores

pytestmark = pytest.mark.unit

LABELS = ["a", "b", "c", "d"]


class Measured:
    """Scores by name."""

    def __init__(self, scores: Scores) -> None:
        self.scores = scores
        self.by_name = scores.by_name()
        self.per_class = [ClassScore(**each) for each in scores.detail.get("per_class", [])]
        self.calibration = [CalibrationBin(**each) for each in scores.detail.get("calibration", [])]


def measure(targets: Any, outputs: Any, labels: list[str], top_k: int = 3) -> Measured:
    """Of probabilities, or of whatever `outputs` are."""
    config: Any = SimpleNamespace(evaluate=SimpleNamespace(top_k=top_k))
    outputs = outputs if isinstance(outputs, dict) else {"probabilities": outputs}
    return Measured(score(outputs, targets, {"labels": labels}, config))


def random_case(rows: int = 4000, classes: int = 4) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    return random.integers(0, classes, rows), random.dirichlet(np.ones(classes), rows)


def test_a_perfect_model_scores_one_everywhere_and_errs_nowhere() -> None:
    targets = np.arange(40) % 4
    metrics = measure(targets, np.eye(4)[targets], LABELS)
    assert [metrics.by_name[name] for name in ("accuracy", "macro_f1", "top3_accuracy")] == [1, 1, 1]
    assert metrics.by_name["expected_calibration_error"] == 0
    assert metrics.scores.detail["confusion"] == (10 * np.eye(4, dtype=int)).tolist()
    assert all(scores.f1 == 1 and scores.rows == 10 for scores in metrics.per_class)


def test_a_random_model_scores_chance() -> None:
    metrics = measure(*random_case(), LABELS).by_name
    assert metrics["accuracy"] == pytest.approx(1 / 4, abs=0.03)
    assert metrics["top3_accuracy"] == pytest.approx(3 / 4, abs=0.03)
    assert metrics["accuracy_low"] < 1 / 4 < metrics["accuracy_high"]


def test_scores_agree_with_scikit_learn() -> None:
    targets, probabilities = random_case()
    metrics = measure(targets, probabilities, LABELS, top_k=2).by_name
    predicted = probabilities.argmax(axis=1)
    assert metrics["macro_f1"] == pytest.approx(f1_score(targets, predicted, average="macro"))
    assert metrics["top2_accuracy"] == pytest.approx(top_k_accuracy_score(targets, probabilities, k=2))


def test_the_confusion_matrix_counts_truth_by_row_and_prediction_by_column() -> None:
    metrics = measure(np.array([0, 0, 2]), np.array([[0.1, 0.9, 0], [1, 0, 0], [0, 0.4, 0.6]]), list("abc"))
    assert metrics.scores.detail["confusion"] == [[1, 1, 0], [0, 0, 0], [0, 0, 1]]
    first = metrics.per_class[0]
    assert (first.precision, first.recall, first.rows) == (1, 0.5, 2)


def test_calibration_error_is_the_gap_weighted_by_rows() -> None:
    # two bins: (0.5, 0.75] claims 0.6 and keeps 1 of 2; (0.75, 1] claims 0.9 and keeps 2 of 2
    confidence = np.array([0.6, 0.6, 0.9, 0.9])
    probabilities = np.stack([confidence, 1 - confidence], axis=1)
    parts = calibration(np.array([0, 1, 0, 0]), probabilities, bins=4)
    assert calibration_error(parts) == pytest.approx((2 * 0.1 + 2 * 0.1) / 4)
    assert [(part.low, part.high, part.rows) for part in parts] == [
        (0.5, 0.75, 2),
        (0.75, 1, 2),
    ]
    assert [part.accuracy for part in parts] == [0.5, 1]


def test_a_confidence_on_an_edge_falls_into_the_lower_bin() -> None:
    parts = calibration(np.array([0]), np.array([[0.5, 0.5]]), bins=2)
    assert [(part.low, part.high) for part in parts] == [(0, 0.5)]


def test_classes_absent_from_the_targets_give_zeros_without_a_warning() -> None:
    targets, probabilities = np.array([0, 1, 1]), np.array([[0.8, 0, 0, 0.2], [0, 1, 0, 0], [0, 0, 0, 1]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        metrics = measure(targets, probabilities, LABELS)
    absent = metrics.per_class[2]
    assert (absent.precision, absent.recall, absent.f1, absent.rows) == (0, 0, 0, 0)
    assert np.isfinite(list(metrics.by_name.values())).all()


def test_macro_f1_leaves_out_what_was_neither_met_nor_predicted() -> None:
    targets = np.array([0, 1, 1, 0])
    assert measure(targets, np.eye(4)[targets], LABELS).by_name["macro_f1"] == 1


def test_no_more_classes_than_k_make_top_k_certain_and_no_score() -> None:
    metrics = measure(np.array([0, 1]), np.array([[0.2, 0.8], [0.9, 0.1]]), ["a", "b"]).by_name
    assert metrics["accuracy"] == 0
    assert not any("top" in name for name in metrics)


def test_on_a_tie_top_one_is_what_argmax_predicts() -> None:
    metrics = measure(np.array([1, 0]), np.full((2, 4), 0.25), LABELS, top_k=1).by_name
    assert metrics["top1_accuracy"] == metrics["accuracy"] == 0.5


def test_the_scores_name_top_k_by_its_k() -> None:
    targets, probabilities = random_case(50)
    assert "top3_accuracy" in measure(targets, probabilities, LABELS).by_name
    assert "top2_accuracy" in measure(targets, probabilities, LABELS, top_k=2).by_name


def test_narrow_integer_and_float_types_do_not_overflow() -> None:
    targets = np.arange(100, dtype=np.uint8)
    metrics = measure(targets, np.eye(100, dtype=np.float16), [str(i) for i in range(100)])
    assert metrics.by_name["accuracy"] == 1


@pytest.mark.parametrize(
    ("targets", "probabilities", "message"),
    [
        ([0], [[2.0, -1.0]], "logits"),
        ([0], [[3.0, 4.0]], "logits"),
        ([0], [[np.nan, 1.0]], "distribution"),
        ([2], [[0.5, 0.5]], "0 to 1"),
        ([-1], [[0.5, 0.5]], "0 to 1"),
        ([0, 1], [[0.5, 0.5]], "do not fit"),
        ([0], [[0.2, 0.3, 0.5]], "do not fit"),
    ],
)
def test_what_cannot_be_scored_is_refused(targets: list[int], probabilities: list[list[float]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        measure(np.array(targets), np.array(probabilities), ["a", "b"])


def test_no_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one row"):
        measure(np.zeros(0, int), np.zeros((0, 2)), ["a", "b"])


def test_the_wilson_interval_matches_a_published_case_and_stays_within_bounds() -> None:
    # Newcombe, "Two-sided confidence intervals for the single proportion" (1998), table I: 81 of 263
    published = accuracy(81, 263)
    assert (published.low, published.high) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    perfect = accuracy(10, 10)
    assert perfect.low is not None
    assert 0.5 < perfect.low < 1
    assert perfect.high == pytest.approx(1)
    assert perfect.high is not None
    assert perfect.high <= 1
    assert accuracy(0, 10).low == 0


def test_a_baseline_with_the_models_predictions_gets_the_models_scores() -> None:
    targets, probabilities = random_case(300)
    model = measure(targets, probabilities, LABELS).scores
    baseline = measure(targets, {"predictions": probabilities.argmax(axis=1)}, LABELS).scores
    assert list(baseline.all) == list(model.all)[:2]


def test_mistakes_come_most_confident_first_with_their_row_and_place() -> None:
    targets = np.array([0, 1, 0, 1])
    probabilities = np.array([[0.4, 0.6], [0.9, 0.1], [1.0, 0.0], [0.7, 0.3]])
    shown = ShownRows([f"test.csv:{line}" for line in range(2, 6)], ["w", "x", "y", "z"])
    mistakes = confident_mistakes(targets, {"probabilities": probabilities}, ["no", "yes"], shown, most=50)
    assert [(m.shown, m.source, m.truth, m.predicted, m.confidence) for m in mistakes] == [
        ("x", "test.csv:3", "yes", "no", 0.9),
        ("z", "test.csv:5", "yes", "no", 0.7),
        ("w", "test.csv:2", "no", "yes", 0.6),
    ]
    assert confident_mistakes(targets, {"probabilities": probabilities}, ["no", "yes"], shown, most=1) == mistakes[:1]


def test_of_few_labels_each_is_ranked_against_the_rest() -> None:
    chances = np.array([[0.9, 0.1, 0.0], [0.4, 0.6, 0.0], [0.6, 0.4, 0.0], [0.1, 0.9, 0.0]])
    first, second = ranking(np.array([0, 0, 1, 1]), chances, ["a", "b", "unmet"])
    assert (first.label, first.rows, first.auroc, first.average_precision) == ("a", 2, 0.75, pytest.approx(5 / 6))
    assert second.auroc == 0.75
    assert ranking(np.zeros(4, int), chances, ["a", "b", "unmet"]) == []
    assert ranking(np.array([0, 0, 1, 1]), np.eye(11)[:4], list("abcdefghijk")) == []


def test_a_row_loses_one_where_its_likeliest_label_is_not_its_own() -> None:
    outputs = {"probabilities": np.array([[0.4, 0.6], [0.9, 0.1]])}
    assert losses(outputs, np.array([1, 1])).tolist() == [0, 1]


def test_confused_pairs_leave_out_what_is_right_and_what_never_happened() -> None:
    confusion = np.array([[90, 10, 0], [0, 5, 15], [0, 0, 7]])
    pairs = confused_pairs(confusion, ["a", "b", "c"])
    assert [(p.truth, p.predicted, p.rows, p.share) for p in pairs] == [
        ("b", "c", 15, 0.75),
        ("a", "b", 10, 0.1),
    ]
