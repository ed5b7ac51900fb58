import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from evidently import DataDefinition, Dataset, Report
from evidently.metrics import ValueDrift

from boatyard.config.errors import UserError
from boatyard.monitor.drift import Columns, compare, read_reference
from boatyard.monitor.looks import DAILY
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


def noticed(window: Columns, reference: Columns | None = None) -> set[str]:
    verdicts = compare(reference or rows(1000, 0), window, DESCRIBED, DEALS)
    return {verdict.name for verdict in verdicts if verdict.suspicious}


def test_windows_like_the_reference_are_quiet() -> None:
    alarms = sum(bool(noticed(rows(300, 2 * seed), rows(1000, 2 * seed + 1))) for seed in range(50))
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
    assert noticed(rows(500, 1, capitals=0.3)) == {"capital_share"}
    assert noticed(rows(500, 1, moved=0.3)) == {"embedding"}


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


def test_a_change_too_small_to_matter_is_none_however_many_rows_prove_it() -> None:
    def noticed(spanish: float, least: float) -> set[str]:
        verdicts = compare(rows(20_000, 0), rows(20_000, 1, spanish=spanish), DESCRIBED, 150, least)
        return {verdict.name for verdict in verdicts if verdict.suspicious}

    assert noticed(0.016, least=0.0) == {"language"}
    assert noticed(0.016, least=0.01) == set()
    assert noticed(0.03, least=0.01) == {"language"}


@pytest.mark.parametrize(("least", "suspicious"), [(0.05, {"score"}), (0.3, set())])
def test_the_least_size_holds_for_numbers_too(least: float, suspicious: set[str]) -> None:
    window = rows(500, 1)
    window.score[:] = window.score - 0.05
    verdicts = compare(rows(1000, 0), window, DESCRIBED, DEALS, least)
    assert {verdict.name for verdict in verdicts if verdict.suspicious} == suspicious
    for verdict in verdicts:
        assert verdict.name == "label" or verdict.value is None or verdict.threshold is not None


def test_p_values_are_those_of_chance_and_go_on_below_what_the_deals_can_tell() -> None:
    few = [verdict.p for verdict in compare(rows(1000, 0), rows(500, 1), DESCRIBED, DEALS)]
    assert all(p is not None and p >= 1 / (DEALS + 1) for p in few)
    broken = dataclasses.replace(rows(500, 1, capitals=0.9, moved=5.0), label=["intent_0"] * 500)
    sure = {verdict.name: verdict.p for verdict in compare(rows(1000, 0), broken, DESCRIBED, DEALS)}
    assert all((sure[name] or 0) < 1e-9 for name in ("label", "capital_share", "embedding"))


def test_what_never_comes_by_chance_is_sure_when_it_comes() -> None:
    window = rows(500, 1)
    window.described["truncated"][:150] = 1.0
    window.described["language"][:50] = "de"
    sure = {verdict.name: verdict.p for verdict in compare(rows(1000, 0), window, DESCRIBED, DEALS)}
    assert all((sure[name] or 0) < DAILY / 100 for name in ("truncated", "language"))


@pytest.mark.parametrize("count", [0, 1, 99])
def test_a_reference_that_is_too_small_is_said_to_be(tmp_path: Path, count: int) -> None:
    table = pa.table(
        {
            "label": pa.array(["fees"] * count, pa.string()),
            "score": pa.array([0.9] * count, pa.float32()),
            "embedding": pa.array([[0.0, 1.0]] * count, pa.list_(pa.float32(), 2)),
        }
    )
    pq.write_table(table, tmp_path / "reference.parquet")
    [verdict] = compare(read_reference(tmp_path, DESCRIBED), rows(500, 1), DESCRIBED, DEALS)
    assert verdict.value is None
    assert verdict.sentence.startswith(f"Cannot compare: the reference has {count} row")


def test_a_column_without_a_number_is_said_not_to_be_measured() -> None:
    reference = rows(1000, 0)
    reference.score[:] = np.nan
    reference.described["capital_share"][:] = np.nan
    assert reference.embedding is not None
    reference.embedding[3, 3] = np.nan
    verdicts = {verdict.name: verdict for verdict in compare(reference, rows(500, 1), DESCRIBED, DEALS)}
    for name in ("score", "capital_share", "embedding"):
        assert verdicts[name].value is None
        assert verdicts[name].sentence.startswith("Not measured: ")
    assert verdicts["length"].value is not None


def test_a_window_in_which_numbers_went_missing_is_noticed() -> None:
    window = rows(500, 1)
    window.described["capital_share"][:] = np.nan
    verdicts = {verdict.name: verdict for verdict in compare(rows(1000, 0), window, DESCRIBED, DEALS)}
    assert verdicts["capital_share"].suspicious
    assert " is no number on average" in verdicts["capital_share"].sentence


def test_columns_that_never_change_are_steady() -> None:
    def constant(count: int) -> Columns:
        described = {"length": np.full(count, 5.0), "language": np.full(count, "en")}
        return Columns(["fees"] * count, np.full(count, 0.5), described, np.ones((count, 4), dtype=np.float32))

    verdicts = compare(constant(300), constant(200), DESCRIBED, DEALS)
    assert {verdict.name for verdict in verdicts} >= {"label", "score", "length", "language", "embedding"}
    assert not any(verdict.suspicious for verdict in verdicts)


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"score": [0.9]}, "has no column label"),
        ({"label": ["a", None], "score": [0.9, 0.9]}, "column label must hold a string"),
        ({"label": [1], "score": [0.9]}, "column label must hold a string"),
        ({"label": ["a"], "score": ["high"]}, "column score holds no numbers"),
        ({"label": ["a", "b"], "score": [0.9, 0.9], "embedding": [[1.0], [1.0, 2.0]]}, "as many numbers in each row"),
    ],
)
def test_a_reference_that_no_export_wrote_is_one_sentence(
    tmp_path: Path, columns: dict[str, list[Any]], said: str
) -> None:
    pq.write_table(pa.table(columns), tmp_path / "reference.parquet")
    with pytest.raises(UserError, match=f"{said}.*export the model again"):
        read_reference(tmp_path, DESCRIBED)


def test_a_damaged_reference_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "reference.parquet").write_bytes(b"PAR1 no more")
    with pytest.raises(UserError, match=r"cannot be read: .*export the model again"):
        read_reference(tmp_path, DESCRIBED)


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
    assert "missing_scores" in noticed(window)


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
