import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from evidently import DataDefinition, Dataset, Report
from evidently.metrics import ValueDrift

from boatyard.errors import UserError
from boatyard.monitor.drift import Columns, compare, read_reference
from boatyard.monitor.statistics import Deals, judge

pytestmark = pytest.mark.unit

LABELS = [f"intent_{number}" for number in range(20)]
DESCRIBED = {"capital_share": "the share of letters that are capitals", "language": "the language that is guessed"}
DEALS = 400
LABEL = DataDefinition(categorical_columns=["label"])


def rows(
    count: int,
    seed: int,
    *,
    labels: np.ndarray | None = None,
    capitals: float = 0.1,
    spanish: float = 0.01,
    moved: float = 0.0,
) -> Columns:
    draw = np.random.default_rng(seed)
    return Columns(
        [str(label) for label in draw.choice(LABELS, count, p=labels)],
        draw.beta(8, 2, count),
        {
            "length": draw.poisson(12, count).astype(float),
            "truncated": np.zeros(count),
            "capital_share": draw.beta(2, 2 / capitals, count),
            "language": draw.choice(["en", "es"], count, p=[1 - spanish, spanish]),
        },
        (draw.normal(size=(count, 8)) + moved).astype(np.float32),
    )


def suspicious(window: Columns, reference: Columns | None = None) -> set[str]:
    verdicts = compare(reference or rows(1000, 0), window, DESCRIBED, DEALS)
    return {verdict.name for verdict in verdicts if verdict.suspicious}


def test_windows_like_the_reference_are_quiet() -> None:
    alarms = sum(bool(suspicious(rows(300, 2 * seed), rows(1000, 2 * seed + 1))) for seed in range(50))
    assert alarms <= 5  # of 50, where 1 is aimed at


def test_a_label_that_comes_more_often_is_noticed_and_named() -> None:
    weights = np.array([6.0] + [1.0] * 19)
    verdicts = compare(rows(1000, 0), rows(500, 1, labels=weights / weights.sum()), DESCRIBED, DEALS)
    label = next(verdict for verdict in verdicts if verdict.name == "label")
    assert label.suspicious
    assert label.sentence.startswith("The answer is intent_0 in ")
    assert label.sentence.endswith(": more than chance explains.")


def test_evidently_by_itself_would_take_few_rows_of_many_labels_for_drift() -> None:
    draw = np.random.default_rng(0)
    before, now = (draw.integers(77, size=count).astype(str) for count in (5000, 500))
    sets = [Dataset.from_pandas(pd.DataFrame({"label": labels}), LABEL) for labels in (now, before)]
    judged = Report([ValueDrift(column="label")]).run(*sets).dict()["metrics"][0]
    assert judged["value"] > judged["config"]["threshold"]
    dealt = Deals(5000, 500, DEALS)
    assert not judge({"label": dealt.growth(np.concatenate([before, now]))}, {}, 0.02)["label"].suspicious


def test_only_what_changed_is_blamed() -> None:
    assert suspicious(rows(500, 1, capitals=0.3)) == {"capital_share"}
    assert suspicious(rows(500, 1, moved=0.3)) == {"embedding"}


def test_a_category_that_comes_more_often_is_named() -> None:
    verdicts = compare(rows(1000, 0), rows(500, 1, spanish=0.1), DESCRIBED, DEALS)
    drift = [verdict for verdict in verdicts if verdict.suspicious]
    assert [verdict.name for verdict in drift] == ["language"]
    assert drift[0].sentence.startswith("The language that is guessed is es in ")
    quiet = next(one for one in compare(rows(1000, 0), rows(500, 1), DESCRIBED, DEALS) if one.name == "language")
    assert quiet.sentence.endswith(": as chance has it, or too little to matter.")


def test_a_value_above_its_threshold_is_what_suspicious_means() -> None:
    for verdict in compare(rows(1000, 0), rows(500, 1, capitals=0.3), DESCRIBED, DEALS):
        assert verdict.value is not None
        assert verdict.threshold is not None
        assert verdict.suspicious == (verdict.value > verdict.threshold)


def test_of_few_rows_it_says_that_they_are_few() -> None:
    verdicts = compare(rows(1000, 0), rows(99, 1, capitals=0.9, moved=5), DESCRIBED, DEALS)
    assert [verdict.suspicious for verdict in verdicts] == [False]
    assert verdicts[0].sentence.startswith("Not enough rows: 99 predictions")


def test_without_inputs_it_measures_what_it_can_and_says_what_it_cannot() -> None:
    whole = rows(500, 1)
    window = dataclasses.replace(
        whole, described={name: whole.described[name] for name in ("length", "truncated")}, embedding=None
    )
    verdicts = {verdict.name: verdict for verdict in compare(rows(1000, 0), window, DESCRIBED, DEALS)}
    assert verdicts["label"].value is not None
    assert verdicts["embedding"].value is None
    assert "BOATYARD_JOURNAL_INPUT" in verdicts["embedding"].sentence


def test_a_score_that_is_no_number_is_a_fault_of_the_data() -> None:
    window = rows(500, 1)
    window.score[7] = np.nan
    assert "missing_scores" in suspicious(window)


def test_many_tests_ring_no_more_often_than_one() -> None:
    deals = Deals(200, 100, DEALS)
    rung = 0
    for seed in range(60):
        draw = np.random.default_rng(seed)
        found = judge({str(name): deals.shift(draw.normal(size=300)) for name in range(10)}, {}, level=0.05)
        rung += any(tested.suspicious for tested in found.values())
    assert rung <= 9  # of 60, where 3 are aimed at; ten tests at 5% each would ring 24 times


def test_equal_values_are_one_step() -> None:
    deals = Deals(2, 2, 0)
    assert deals.shift(np.array([0.0, 0.0, 0.0, 0.0])).dealt[0] == 0
    assert deals.shift(np.array([0.0, 1.0, 1.0, 1.0])).dealt[0] == 0.5
    assert deals.shift(np.array([0.0, 0.0, 1.0, 1.0])).dealt[0] == 1


def test_a_bundle_of_an_earlier_version_is_compared_by_what_it_holds(tmp_path: Path) -> None:
    pq.write_table(
        pa.table({"label": LABELS * 10, "score": [0.9] * 200, "length": [5] * 200}), tmp_path / "reference.parquet"
    )
    verdicts = {
        verdict.name: verdict
        for verdict in compare(read_reference(tmp_path, DESCRIBED), rows(200, 1), DESCRIBED, DEALS)
    }
    assert verdicts["length"].value is not None
    assert verdicts["capital_share"].value is None
    assert "export the model again" in verdicts["capital_share"].sentence
    assert "export the model again" in verdicts["embedding"].sentence


def test_a_bundle_without_a_reference_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"has no reference\.parquet.*export the model again"):
        read_reference(tmp_path, DESCRIBED)
