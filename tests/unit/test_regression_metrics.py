"""How good numbers are, by other means and by hand, and what the report says of them."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from bundles import VALUES
from PIL import Image
from sklearn.metrics import r2_score

from boatyard.evaluate.compared import Compared
from boatyard.evaluate.report import write_report
from boatyard.tasks.protocol import ShownRows
from boatyard.tasks.regression.interval import Floats, fit_quantiles, interval, quantile_of
from boatyard.tasks.regression.metrics import losses, ranges, score
from boatyard.tasks.regression.parity import parity
from boatyard.tasks.regression.report import DOCUMENTS, card_parts, report

pytestmark = pytest.mark.unit

CONFIG: Any = SimpleNamespace(evaluate=SimpleNamespace(mistakes=2), export=SimpleNamespace(max_error_growth=0.01))


def measure(answers: list[float], truths: list[float], **target: Any) -> dict[str, float]:
    return score({"value": np.array(answers)}, np.array(truths), target, CONFIG).by_name()


def test_errors_are_measured_in_the_unit_of_the_target_and_in_shares_of_it() -> None:
    measured = measure([100, 210, 270, 400], [100, 200, 300, 200])
    assert measured["mean_absolute_error"] == 60
    assert measured["root_mean_squared_error"] == pytest.approx(np.sqrt((100 + 900 + 40_000) / 4))
    assert measured["mean_absolute_percentage_error"] == pytest.approx((0 + 0.05 + 0.1 + 1) / 4)
    assert [measured[f"within_{percent}_percent"] for percent in (5, 10, 20)] == [0.5, 0.75, 0.75]
    assert measured["r2"] == pytest.approx(r2_score([100, 200, 300, 200], [100, 210, 270, 400]))
    assert "interval_coverage" not in measured


def test_the_mean_absolute_error_decides_and_its_interval_holds_the_true_one_at_nearly_19_in_20() -> None:
    draw, held = np.random.default_rng(0), 0
    for _ in range(200):
        errors = draw.normal(0, 3, 200)
        primary = score({"value": errors}, np.zeros(200), {}, CONFIG).primary
        assert (primary.name, primary.higher_is_better) == ("mean_absolute_error", False)
        assert primary.low is not None
        assert primary.high is not None
        held += primary.low < 3 * np.sqrt(2 / np.pi) < primary.high
    assert 180 <= held <= 198, "190 are expected; outside would come once in a thousand"


def test_shares_of_a_truth_of_zero_are_not_measured() -> None:
    measured = measure([1, 2], [0, 2])
    assert "mean_absolute_percentage_error" not in measured
    assert measured["within_5_percent"] == 0.5


def test_one_row_can_be_scored() -> None:
    measured = measure([3], [5])
    assert measured["mean_absolute_error"] == 2
    assert not {"r2", "mean_absolute_error_low"} & measured.keys()


@pytest.mark.parametrize(("answers", "truths"), [([], []), ([1], [1, 2])])
def test_what_cannot_be_scored_is_refused(answers: list[float], truths: list[float]) -> None:
    with pytest.raises(ValueError, match="at least one row"):
        measure(answers, truths)


def test_answers_may_be_a_column() -> None:
    assert losses({"value": np.array([[1.0], [5.0]])}, np.array([2.0, 2.0])).tolist() == [1, 3]


@pytest.mark.parametrize(("rows", "rank"), [(9, 9), (10, 10), (19, 18), (99, 90), (100, 91)])
def test_a_quantile_is_the_conformal_one_of_the_distances(rows: int, rank: int) -> None:
    distances = np.random.default_rng(0).permutation(np.arange(1.0, rows + 1))
    assert quantile_of(0.9, fit_quantiles(distances, np.ones(rows), np.zeros(rows), log=False)) == rank


def test_of_too_few_rows_the_highest_quantiles_are_the_largest_distance() -> None:
    assert fit_quantiles(np.array([1.0, -7.0]), np.ones(2), np.zeros(2), log=False)[60:] == [7] * 39


@pytest.mark.parametrize(("level", "percent"), [(0.01, 1), (0.1, 10), (0.29, 29), (0.57, 57), (0.901, 91), (0.99, 99)])
def test_a_level_has_the_quantile_of_the_next_whole_percent(level: float, percent: int) -> None:
    assert quantile_of(level, [float(percent) for percent in range(1, 100)]) == percent


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("level", [0.5, 0.9])
def test_an_interval_holds_its_share_of_truths_that_it_was_not_fitted_on_and_of_hard_rows_too(
    level: float, log: bool
) -> None:
    draw, held = np.random.default_rng(0), []

    def rows() -> tuple[Floats, Floats, Floats]:
        spread = np.repeat([0.05, 0.5], 100)
        values = draw.normal(4, 1, 200)
        truths = values + draw.laplace(0, spread)
        return (np.exp(values), spread, np.exp(truths)) if log else (values, spread, truths)

    for _ in range(200):
        quantile = quantile_of(level, fit_quantiles(*rows(), log=log))
        values, spread, truths = rows()
        low, high = interval(values, spread, quantile, log=log)
        assert (low <= values).all()
        assert (values <= high).all()
        held.append((low <= truths) & (truths <= high))
    easy, hard = np.mean(held, axis=0).reshape(2, 100).mean(axis=1)
    assert (easy, hard) == pytest.approx((level, level), abs=0.02)


def test_an_interval_on_logarithms_is_never_below_zero_nor_infinite() -> None:
    low, high = interval(np.array([5.0, 1e14]), np.array([1.0, 900.0]), 3.0, log=True)
    assert (low >= 0).all()
    assert np.isfinite(high).all()


def test_ranges_hold_as_many_rows_each_and_say_which_way_answers_are_off() -> None:
    truths = np.arange(100.0)
    parts = ranges({"value": truths + np.where(truths < 50, 2, -4)}, truths, {})
    assert [part["rows"] for part in parts] == [20] * 5
    assert [part["mean_error"] for part in parts] == [2, 2, -1, -4, -4]
    assert parts[2]["mean_absolute_error"] == 3


def test_few_values_make_few_ranges() -> None:
    assert [part["rows"] for part in ranges({"value": np.zeros(4)}, np.array([1.0, 1.0, 1.0, 5.0]), {})] in (
        [4],
        [3, 1],
    )
    assert [(part["low"], part["high"]) for part in ranges({"value": np.zeros(3)}, np.full(3, 7.0), {})] == [(7, 7)]


def test_the_loss_of_training_is_that_of_serving() -> None:
    task = VALUES
    answers, truths = np.array([1.5, -3.0, 0.0]), np.array([1.0, 2.0, 0.0])
    served = [task.loss({"value": answer}, {"value": truth}) for answer, truth in zip(answers, truths, strict=True)]
    assert losses({"value": answers}, truths).tolist() == served


@pytest.mark.parametrize(
    ("growth", "is_refused"),
    [(0.0, False), (0.009, False), (0.02, True)],
)
def test_int8_may_err_by_a_hundredth_more(growth: float, is_refused: bool) -> None:
    exact = np.full(50, 10.0)
    compared = parity({"value": exact}, {"value": exact * (1 + growth)}, np.zeros(50), CONFIG)
    assert (compared.refusal is not None) == is_refused
    assert compared.figures["fp32_mean_absolute_error"] == 10
    if compared.refusal:
        assert compared.refusal.startswith("int8 is refused: ")


def test_what_may_be_chance_refuses_nothing() -> None:
    draw = np.random.default_rng(0)
    exact, noise = draw.normal(0, 10, 20), draw.normal(0, 10, 20)
    compared = parity({"value": exact}, {"value": exact + noise}, np.zeros(20), CONFIG)
    assert compared.figures["noise"] > 1
    growth = compared.figures["int8_mean_absolute_error"] - compared.figures["fp32_mean_absolute_error"]
    assert (compared.refusal is None) == (
        growth <= 0.01 * compared.figures["fp32_mean_absolute_error"] + compared.figures["noise"]
    )


def test_the_report_shows_answers_errors_the_interval_and_the_worst_rows(tmp_path: Path) -> None:
    truths = np.arange(1.0, 41.0)
    outputs = {"value": truths + np.where(truths == 7, 30, 1), "spread": np.full(40, 2.0)}
    target = {"unit": "EUR", "log": False, "quantiles": [1.0] * 99}
    scores = score(outputs, truths, target, CONFIG)
    rows = ShownRows([f"test.csv:{row}" for row in range(2, 42)], [f"a house of {size:g} m2" for size in truths])
    write_report(
        tmp_path,
        title="houses",
        split="test",
        scores=scores,
        baseline=Compared("words, ridge", "words", 9, 0.1, score({"value": truths + 2}, truths, {}, CONFIG)),
        fitted={"quantiles": [1.0] * 99},
        sections=report(scores, outputs, truths, target, rows, CONFIG, tmp_path),
    )
    written = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "Mean absolute error with its 95% interval." in written
    assert "| Interval coverage | 0.975 | n/a |" in written
    assert "On test rows it holds 97.5%, and half of all rows have one that is no wider than 4.0000 in EUR." in written
    assert "| 1.0000 to 8.0000 | 8 | 4.6250 | 4.6250 | 87.5% |" in written
    worst = written[written.index("## The worst rows") :]
    assert worst.splitlines()[4] == "| 30.00 | 37.00 | 7.0000 | a house of 7 m2 | test.csv:8 |"
    assert worst.count("test.csv") == 2
    numbers = json.loads((tmp_path / "metrics.json").read_text(encoding="utf-8"))
    assert numbers["fitted"] == {"quantiles": [1] * 99}
    assert numbers["detail"]["points"][6] == {"truth": 7, "value": 37}
    assert {file.name for file in tmp_path.glob("*.png")} == set(DOCUMENTS)
    for name in DOCUMENTS:
        assert f"({name})" in written
        with Image.open(tmp_path / name) as picture:
            assert picture.format == "PNG"


def test_the_card_names_unit_interval_and_range_and_the_error_by_fifth() -> None:
    truths = np.arange(1.0, 41.0)
    outputs = {"value": truths + 1, "spread": np.full(40, 2.0)}
    target = {"unit": "EUR", "minimum": 10.0, "maximum": 90.0, "log": False, "quantiles": [1.0] * 99}
    errors, interval = card_parts(target, score(outputs, truths, target, CONFIG))
    assert "| 1.0000 to 8.0000 | 8 | 1.0000 | 1.0000 | 100.0% |" in errors.parts[0]
    assert "a number in EUR" in interval.parts[0]
    assert "the truth of 90% of validation rows" in interval.parts[0]
    assert "On test rows it holds 100.0%" in interval.parts[1]
    assert "between 10.00 and 90.00" in interval.parts[2]
