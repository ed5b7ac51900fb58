"""The bar that a network has to clear: counted words and letters under a linear classifier, or under a ridge."""

from collections.abc import Sequence
from time import perf_counter
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from boatyard.config.compose import load_config
from boatyard.evaluate.baseline import score_baseline
from boatyard.evaluate.compared import Compared
from boatyard.inputs.text import features
from boatyard.tasks.classification import baseline
from boatyard.tasks.regression import baseline as regression

pytestmark = pytest.mark.unit

CARD = ["where is my card", "my card has not come", "the card never arrived", "card still missing"]
RATE = ["what is the exchange rate", "the rate for euros today", "is this rate fair", "exchange rates please"]
DATA = load_config(["data=inbox"]).data
ROWS = [(text,) for text in CARD + RATE]
TARGETS = np.array([0] * len(CARD) + [1] * len(RATE))


def fit_baseline(rows: Any, targets: np.ndarray, seed: int = 0) -> Any:
    return baseline.fit_baseline(features.simple_features(DATA), rows, targets, {}, seed)


def predict(fitted: Any, rows: Sequence[tuple[str, ...]]) -> list[int]:
    predictions: list[int] = fitted.outputs(rows)["predictions"].tolist()
    return predictions


def evaluated(rows: Any, targets: np.ndarray, test: Any, test_targets: np.ndarray, seed: int = 0) -> Compared:
    """Fitted and scored as an evaluation does."""
    prepared: Any = SimpleNamespace(
        data=DATA,
        rows=lambda split: rows if split == "train" else test,
        targets=lambda split: targets if split == "train" else test_targets,
        target={"labels": [str(label) for label in range(int(targets.max()) + 1)]},
    )
    return score_baseline(load_config([f"train.seed={seed}"]), prepared, "test")


def test_it_learns_what_words_tell() -> None:
    scored = evaluated(ROWS, TARGETS, [("a new card",), ("rates",)], np.array([0, 1]))
    assert scored.scores.primary.value == 1
    assert scored.rows_used == len(ROWS)
    assert scored.description == (
        "TF-IDF of words (1 to 2) and characters (2 to 5) with a linear support vector classifier, "
        "fitted on all 8 training rows"
    )
    assert scored.seconds > 0


def test_letters_help_where_words_are_misspelt() -> None:
    assert predict(fit_baseline(ROWS, TARGETS), [("crad carrd",), ("exchnge raate",)]) == [0, 1]


def test_every_column_of_a_pair_counts() -> None:
    same = "the same"
    for rows in ([(text, same) for (text,) in ROWS], [(same, text) for (text,) in ROWS]):
        assert predict(fit_baseline(rows, TARGETS), rows) == TARGETS.tolist()


def test_class_indices_need_not_be_contiguous() -> None:
    assert set(predict(fit_baseline(ROWS, TARGETS * 5 + 2), ROWS)) == {2, 7}


def test_texts_without_a_single_letter_can_be_fitted() -> None:
    assert fit_baseline([("!!",), ("?",), ("\N{PARTY POPPER}",), ("??",)], np.array([0, 1, 0, 1]))


def test_many_rows_are_sampled_by_the_seed_and_the_number_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "MOST_ROWS", 20)
    sampled: list[Any] = []

    def keep(_: Any, rows: Any, targets: np.ndarray, *__: Any) -> Any:
        sampled.append((rows, targets.tolist()))
        return fit_baseline(rows, targets)

    monkeypatch.setattr("boatyard.tasks.classification.training.fit_baseline", keep, raising=False)
    rows, targets = ROWS * 10, np.tile(TARGETS, 10)
    scored = evaluated(rows, targets, rows, targets, seed=3)
    evaluated(rows, targets, rows, targets, seed=3)
    assert scored.rows_used == 20
    assert "a sample of 20 of 80 training rows" in scored.description
    assert sampled[0] == sampled[1]
    assert sampled[0][0] != rows[:20]


def test_long_texts_are_sampled_by_their_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "MOST_CHARACTERS", sum(len(text) for (text,) in ROWS))
    assert evaluated(ROWS * 4, np.tile(TARGETS, 4), ROWS, TARGETS).rows_used == len(ROWS)


def test_a_sample_keeps_even_the_rarest_class(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "MOST_ROWS", 2)
    rows = [("plain",)] * 500 + [("rare",)]
    targets = np.array([0] * 500 + [1])
    assert evaluated(rows, targets, [("rare",)], np.array([1])).scores.primary.value == 1


@pytest.mark.parametrize(("bound", "most"), [("MOST_LABELS", 1), ("MOST_LABELS_AT_FULL_COST", 0)])
def test_more_labels_than_a_linear_classifier_has_time_for_get_the_nearest_centroid(
    bound: str, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    linear = fit_baseline(ROWS, TARGETS)
    monkeypatch.setattr(baseline, bound, most)
    nearest = fit_baseline(ROWS, TARGETS * 5 + 2)
    assert predict(nearest, [("a new card",), ("rates",)]) == [2, 7]
    assert (linear.name, nearest.name) == ("TF-IDF, linear", "TF-IDF, nearest centroid")
    assert "a linear classifier of 2 labels takes too long" in nearest.description


def test_ten_thousand_labels_take_seconds() -> None:
    labels = np.arange(10_000)
    rows = [(f"unit{label} about topic{label // 7}",) for label in labels]
    started = perf_counter()
    fitted = fit_baseline(rows, labels)
    assert perf_counter() - started < 5
    assert predict(fitted, rows[:2_500]) == labels[:2_500].tolist()


@pytest.mark.parametrize("failing", ["fit", "predict"])
def test_a_baseline_that_fails_is_the_most_frequent_label_and_says_so(
    failing: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise MemoryError

    if failing == "fit":
        monkeypatch.setattr(baseline.LinearSVC, "fit", fail)
    else:
        monkeypatch.setattr(baseline.LinearSVC, "predict", fail)
    train, test = np.array([0, 1, 1, 1, 1, 1, 1, 1]), np.array([1, 1, 1, 0])
    scored = evaluated(ROWS, train, ROWS[:4], test)
    assert (scored.name, scored.scores.primary.value, scored.rows_used) == ("most frequent label", 0.75, 8)
    assert "MemoryError" in scored.description
    assert "the most frequent label takes its place" in caplog.text


def test_a_ridge_learns_what_words_are_worth() -> None:
    rows = [(f"{word} number {number}",) for number in range(20) for word in ("cheap", "dear")]
    fitted = regression.fit_baseline(features.simple_features(DATA), rows, np.tile([1.0, 100.0], 20), {"log": False}, 0)
    cheap, dear = fitted.outputs([("a cheap one",), ("a dear one",)])["value"]
    assert cheap < 40
    assert dear > 60
    assert (fitted.name, "ridge regression" in fitted.description) == ("TF-IDF, ridge", True)


def test_of_all_constants_the_median_errs_least() -> None:
    targets = np.array([1.0, 2.0, 3.0, 4.0, 1000.0])
    constant = regression.fallback(targets, {})
    assert constant.outputs(ROWS)["value"].tolist() == [3.0] * len(ROWS)


def test_a_sample_of_numbers_is_of_the_size_and_in_order() -> None:
    drawn = regression.sample(np.zeros(100), np.random.default_rng(0), 10)
    assert len(set(drawn)) == 10
    assert (np.diff(drawn) > 0).all()
