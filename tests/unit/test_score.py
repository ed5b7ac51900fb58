"""Scores, and when two models differ by more than chance."""

import random
from dataclasses import asdict

import numpy as np
import pytest
from bundles import VALUES
from numpy.typing import NDArray

from boatyard.tasks.classification.serving import Classification
from boatyard.tasks.score import Score, Scores, paired_interval, shown

pytestmark = pytest.mark.unit


def outcomes(rows: int, right: float, seed: int) -> NDArray[np.float64]:
    """0 where the answer is right, else 1."""
    draw = random.Random(seed)
    return np.array([float(draw.random() >= right) for _ in range(rows)])


def is_better(before: NDArray[np.float64], after: NDArray[np.float64]) -> bool:
    return paired_interval(before, after)[0] > 0


def test_a_clear_gain_is_above_zero_and_its_interval_holds_the_difference() -> None:
    before, after = outcomes(500, 0.6, 1), outcomes(500, 0.8, 2)
    low, high = paired_interval(before, after)
    assert 0 < low < before.mean() - after.mean() < high


def test_the_same_answers_differ_by_nothing() -> None:
    same = outcomes(200, 0.7, 1)
    assert paired_interval(same, same) == (0, 0)


def test_models_that_are_equally_good_are_called_better_about_as_often_as_the_confidence_allows() -> None:
    better = [is_better(outcomes(300, 0.7, 2 * n), outcomes(300, 0.7, 2 * n + 1)) for n in range(200)]
    assert sum(better) <= 13, "2.5 % are expected: 5 of 200; 14 would come once in a thousand"


def test_of_equally_large_errors_neither_model_is_called_better_more_often_than_the_confidence_allows() -> None:
    draw = np.random.default_rng(0)
    better = [is_better(draw.exponential(10, 60), draw.exponential(10, 60)) for _ in range(30)]
    assert sum(better) <= 4, "2.5 % are expected: 1 of 30; 5 would come once in a thousand"


def test_more_rows_make_the_interval_narrower() -> None:
    few, many = (paired_interval(outcomes(n, 0.6, 1), outcomes(n, 0.7, 2)) for n in (100, 10_000))
    assert many[1] - many[0] < (few[1] - few[0]) / 5


def test_answers_to_different_rows_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match="the same rows"):
        paired_interval(np.array([1.0]), np.array([1.0, 0.0]))


@pytest.mark.parametrize(("rows", "before", "after"), [(413, 0.57, 0.65), (200, 0.9, 0.9), (2_000, 0.7, 0.68)])
def test_of_right_and_wrong_the_interval_is_that_of_a_difference_in_shares(
    rows: int, before: float, after: float
) -> None:
    """Drawing rows is drawing, by their shares, those that only one of the two has right."""
    old, new = outcomes(rows, before, 1), outcomes(rows, after, 2)
    gained, lost = int((old > new).sum()), int((new > old).sum())
    shares = [gained / rows, lost / rows, (rows - gained - lost) / rows]
    draws = np.random.default_rng(0).multinomial(rows, shares, size=10_000)
    expected = np.quantile((draws[:, 0] - draws[:, 1]) / rows, [0.025, 0.975])
    assert paired_interval(old, new) == pytest.approx(tuple(expected), abs=0.005)


def test_of_continuous_losses_the_interval_is_that_of_students_mean() -> None:
    draw = np.random.default_rng(0)
    before, after = draw.normal(10, 2, 800), draw.normal(9.8, 2, 800)
    gain = before - after
    margin = 1.96 * gain.std(ddof=1) / np.sqrt(len(gain))
    expected = (gain.mean() - margin, gain.mean() + margin)
    assert paired_interval(before, after) == pytest.approx(expected, abs=0.02)


def test_rows_are_paired_so_a_small_gain_on_each_of_very_different_rows_shows() -> None:
    sizes = np.random.default_rng(0).lognormal(5, 2, 300)
    assert is_better(sizes, 0.95 * sizes)


def test_a_score_knows_which_way_is_better() -> None:
    first, second = Score("accuracy", 0.9), Score("accuracy", 0.8)
    assert first.is_better_than(second)
    assert second.shortfall(first) == pytest.approx(0.1)
    lower, larger = (Score("mean_absolute_error", value, higher_is_better=False) for value in (3.0, 4.0))
    assert lower.is_better_than(larger)
    assert not lower.is_better_than(lower)
    assert (larger.shortfall(lower), lower.shortfall(larger)) == (1, -1)


def test_a_title_is_the_name_in_words() -> None:
    assert [Score(name, 0).title for name in ("macro_f1", "r2", "top3_accuracy")] == [
        "macro F1",
        "R2",
        "top-3 accuracy",
    ]
    assert Score("mean_absolute_error", 0).heading == "Mean absolute error"


def test_a_score_may_say_how_people_write_it() -> None:
    score = Score("map", 0, title="mAP50:95")
    assert (score.title, score.heading) == ("mAP50:95", "mAP50:95")
    assert Score(**asdict(score)) == score


def test_small_numbers_are_shown_with_decimals_and_large_ones_without() -> None:
    assert [shown(value) for value in (0.65375, -9.5, 1234.5678, 123456.7)] == [
        "0.6538",
        "-9.5000",
        "1,234.57",
        "123,457",
    ]
    assert Score("accuracy", 0.654, 0.607, 0.698).with_interval(3) == "0.654 (0.607 to 0.698)"
    assert Score("r2", 0.5).with_interval() == "0.5000"


def test_a_tracker_gets_each_score_and_the_ends_of_its_interval() -> None:
    scores = Scores(9, [Score("accuracy", 0.5, 0.4, 0.6), Score("macro_f1", 0.3)], {})
    expected = {"rows": 9, "accuracy": 0.5, "accuracy_low": 0.4, "accuracy_high": 0.6, "macro_f1": 0.3}
    assert scores.by_name() == expected


def test_the_score_of_losses_is_the_tasks_primary_one() -> None:
    assert Classification(["a", "b"]).score(np.array([0.0, 1.0, 0.0, 0.0])).value == 0.75
    error = VALUES.score(np.array([1.0, 3.0]))
    assert (error.name, error.value, error.higher_is_better) == ("mean_absolute_error", 2, False)
