from types import SimpleNamespace

import numpy as np
import pytest

from boatyard.config.compose import load_config
from boatyard.evaluate.run import _baseline as evaluate_baseline
from boatyard.inputs.text import baseline
from boatyard.inputs.text import training as kind
from boatyard.inputs.text.baseline import fit_baseline

pytestmark = pytest.mark.unit

CARD = ["where is my card", "my card has not come", "the card never arrived", "card still missing"]
RATE = ["what is the exchange rate", "the rate for euros today", "is this rate fair", "exchange rates please"]
ROWS = [(text,) for text in CARD + RATE]
TARGETS = np.array([0] * len(CARD) + [1] * len(RATE))


def test_it_learns_what_words_tell() -> None:
    fitted = fit_baseline(ROWS, TARGETS, seed=0)
    assert fitted.predict([("a new card",), ("rates",)]).tolist() == [0, 1]
    assert fitted.rows_used == len(ROWS)
    assert "all 8 training rows" in fitted.description
    assert fitted.seconds > 0


def test_letters_help_where_words_are_misspelt() -> None:
    assert fit_baseline(ROWS, TARGETS, seed=0).predict([("crad carrd",), ("exchnge raate",)]).tolist() == [
        0,
        1,
    ]


def test_every_column_of_a_pair_counts() -> None:
    same = "the same"
    for rows in ([(text, same) for (text,) in ROWS], [(same, text) for (text,) in ROWS]):
        assert fit_baseline(rows, TARGETS, seed=0).predict(rows).tolist() == TARGETS.tolist()


def test_class_indices_need_not_be_contiguous() -> None:
    assert set(fit_baseline(ROWS, TARGETS * 5 + 2, seed=0).predict(ROWS).tolist()) == {2, 7}


def test_texts_without_a_single_letter_can_be_fitted() -> None:
    assert fit_baseline([("!!",), ("?",), ("\N{PARTY POPPER}",), ("??",)], np.array([0, 1, 0, 1]), seed=0)


def test_many_rows_are_sampled_by_the_seed_and_the_number_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baseline, "MOST_ROWS", 20)
    rows, targets = ROWS * 10, np.tile(TARGETS, 10)
    fitted, again = (fit_baseline(rows, targets, seed=3) for _ in range(2))
    assert fitted.rows_used == 20
    assert "a sample of 20 of 80 training rows" in fitted.description
    weights, same = (one.classifier.coef_ for one in (fitted, again))
    assert weights.shape == same.shape
    assert (weights == same).all()


def test_long_texts_are_sampled_by_their_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baseline, "MOST_CHARACTERS", sum(len(text) for (text,) in ROWS))
    assert fit_baseline(ROWS * 4, np.tile(TARGETS, 4), seed=0).rows_used == len(ROWS)


def test_a_sample_keeps_even_the_rarest_class(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baseline, "MOST_ROWS", 2)
    rows = [("plain",)] * 500 + [("rare",)]
    targets = np.array([0] * 500 + [1])
    assert fit_baseline(rows, targets, seed=0).predict([("rare",)]).tolist() == [1]


@pytest.mark.parametrize("bound", ["MOST_LABELS", "MOST_LABEL_CHARACTERS"])
def test_more_labels_than_a_linear_classifier_has_time_for_get_the_nearest_centroid(
    bound: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    linear = fit_baseline(ROWS, TARGETS, seed=0)
    monkeypatch.setattr(baseline, bound, 1)
    nearest = fit_baseline(ROWS, TARGETS * 5 + 2, seed=0)
    assert nearest.predict([("a new card",), ("rates",)]).tolist() == [2, 7]
    assert (linear.name, nearest.name) == ("TF-IDF, linear", "TF-IDF, nearest centroid")
    assert "a linear classifier of 2 labels takes too long" in nearest.description


def test_ten_thousand_labels_take_seconds() -> None:
    labels = np.arange(10_000)
    rows = [(f"unit{label} about topic{label // 7}",) for label in labels]
    fitted = fit_baseline(rows, labels, seed=0)
    assert (fitted.predict(rows[:2_500]) == labels[:2_500]).all()
    assert fitted.seconds < 5


@pytest.mark.parametrize("failing", ["fit_baseline", "predict"])
def test_a_baseline_that_fails_is_the_most_frequent_label_and_says_so(
    failing: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(kind if failing == "fit_baseline" else baseline.Baseline, failing, fail)
    train, test = np.array([0, 1, 1, 1, 1, 1, 1, 1]), np.array([1, 1, 1, 0])
    prepared = SimpleNamespace(
        rows=lambda split: ROWS if split == "train" else ROWS[:4],
        targets=lambda split: train if split == "train" else test,
        labels=["card", "rate"],
    )
    scored = evaluate_baseline(load_config(), prepared)  # type: ignore[arg-type]
    assert (scored.name, scored.accuracy, scored.rows_used) == ("most frequent label", 0.75, 8)
    assert "MemoryError" in scored.description
    assert "the most frequent label takes its place" in caplog.text
