from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bundles import VALUES
from evidently import DataDefinition, Dataset, Report
from evidently.metrics import ValueDrift

from boatyard.config.errors import UserError
from boatyard.journal.columns import Column
from boatyard.monitor.drift import NO_EMBEDDING, NO_INPUTS, Columns, compare, read_reference
from boatyard.monitor.looks import DAILY
from boatyard.monitor.results import Verdict
from boatyard.monitor.statistics import Permutations, judge
from boatyard.tasks.classification.serving import Classification

pytestmark = pytest.mark.unit

LABELS = [f"intent_{number}" for number in range(20)]
INPUT = [
    Column("length", "the length of the input"),
    Column("truncated", "the share of inputs that were cut off"),
    Column("capital_share", "the share of letters that are capitals"),
    Column("language", "the language that is guessed", category=True),
]
COLUMNS = [*Classification(LABELS).columns, *INPUT]
NUMBERS = [*VALUES.columns, *INPUT]
PERMUTATIONS = 400
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
        {
            "label": draw.choice(LABELS, count, p=labels),
            "score": draw.beta(8, 2, count),
            "length": draw.poisson(12, count).astype(float),
            "truncated": np.zeros(count),
            "capital_share": draw.beta(2, 2 / capitals, count),
            "language": draw.choice(["en", "es"], count, p=[1 - spanish, spanish]),
        },
        (draw.normal(size=(count, 8)) + moved).astype(np.float32),
    )


def noticed(window: Columns, reference: Columns | None = None) -> set[str]:
    verdicts = compare(reference or rows(1000, 0), window, COLUMNS, PERMUTATIONS)
    return {verdict.name for verdict in verdicts if verdict.suspicious}


def test_windows_like_the_reference_are_quiet() -> None:
    alarms = sum(bool(noticed(rows(300, 2 * seed), rows(1000, 2 * seed + 1))) for seed in range(50))
    assert alarms <= 5  # of 50, where 1 is aimed at


def test_a_label_that_comes_more_often_is_noticed_and_named() -> None:
    weights = np.array([6.0] + [1.0] * 19)
    verdicts = compare(rows(1000, 0), rows(500, 1, labels=weights / weights.sum()), COLUMNS, PERMUTATIONS)
    label = next(verdict for verdict in verdicts if verdict.name == "label")
    assert label.suspicious
    assert label.sentence.startswith("intent_0 makes up ")
    assert label.sentence.endswith(": more than chance explains.")


def test_evidently_by_itself_would_take_few_rows_of_many_labels_for_drift() -> None:
    draw = np.random.default_rng(0)
    before, now = (draw.integers(77, size=count).astype(str) for count in (5000, 500))
    sets = [Dataset.from_pandas(pd.DataFrame({"label": labels}), LABEL) for labels in (now, before)]
    judged = Report([ValueDrift(column="label")]).run(*sets).dict()["metrics"][0]
    assert judged["value"] > judged["config"]["threshold"]
    grown = Permutations(5000, 500, PERMUTATIONS).growth(np.concatenate([before, now]))
    assert not judge({"label": grown}, {}, 0.02)["label"].suspicious


def test_only_what_changed_is_blamed() -> None:
    assert noticed(rows(500, 1, capitals=0.3)) == {"capital_share"}
    assert noticed(rows(500, 1, moved=0.3)) == {"embedding"}


def test_a_category_that_comes_more_often_is_named() -> None:
    verdicts = compare(rows(1000, 0), rows(500, 1, spanish=0.1), COLUMNS, PERMUTATIONS)
    drift = [verdict for verdict in verdicts if verdict.suspicious]
    assert [verdict.name for verdict in drift] == ["language"]
    assert drift[0].sentence.startswith("The language that is guessed is es in ")
    quiet = next(one for one in compare(rows(1000, 0), rows(500, 1), COLUMNS, PERMUTATIONS) if one.name == "language")
    assert quiet.sentence.endswith(": within chance, or too small to matter.")


def test_a_value_above_its_threshold_is_what_suspicious_means() -> None:
    for verdict in compare(rows(1000, 0), rows(500, 1, capitals=0.3), COLUMNS, PERMUTATIONS):
        assert verdict.value is not None
        assert verdict.threshold is not None
        assert verdict.suspicious == (verdict.value > verdict.threshold)


def test_of_few_rows_it_says_that_they_are_few() -> None:
    verdicts = compare(rows(1000, 0), rows(99, 1, capitals=0.9, moved=5), COLUMNS, PERMUTATIONS)
    assert [verdict.suspicious for verdict in verdicts] == [False]
    assert verdicts[0].sentence.startswith("Not enough rows: 99 predictions")


def test_a_change_too_small_to_matter_is_none_however_many_rows_prove_it() -> None:
    def noticed(spanish: float, min_effect: float) -> set[str]:
        verdicts = compare(rows(20_000, 0), rows(20_000, 1, spanish=spanish), COLUMNS, 150, min_effect)
        return {verdict.name for verdict in verdicts if verdict.suspicious}

    assert noticed(0.016, min_effect=0.0) == {"language"}
    assert noticed(0.016, min_effect=0.01) == set()
    assert noticed(0.03, min_effect=0.01) == {"language"}


@pytest.mark.parametrize(("min_effect", "suspicious"), [(0.05, {"score"}), (0.3, set())])
def test_the_smallest_relevant_effect_holds_for_numbers_too(min_effect: float, suspicious: set[str]) -> None:
    window = rows(500, 1)
    window.values["score"] -= 0.05
    verdicts = compare(rows(1000, 0), window, COLUMNS, PERMUTATIONS, min_effect)
    assert {verdict.name for verdict in verdicts if verdict.suspicious} == suspicious
    for verdict in verdicts:
        assert verdict.name == "label" or verdict.value is None or verdict.threshold is not None


def test_p_values_are_those_of_chance_and_go_on_below_what_the_permutations_can_tell() -> None:
    few = [verdict.p for verdict in compare(rows(1000, 0), rows(500, 1), COLUMNS, PERMUTATIONS)]
    assert all(p is not None and p >= 1 / (PERMUTATIONS + 1) for p in few)
    broken = rows(500, 1, capitals=0.9, moved=5.0)
    broken.values["label"][:] = "intent_0"
    sure = {verdict.name: verdict.p for verdict in compare(rows(1000, 0), broken, COLUMNS, PERMUTATIONS)}
    assert all((sure[name] or 0) < 1e-9 for name in ("label", "capital_share", "embedding"))


def test_what_never_comes_by_chance_is_sure_when_it_comes() -> None:
    window = rows(500, 1)
    window.values["truncated"][:150] = 1.0
    window.values["language"][:50] = "de"
    sure = {verdict.name: verdict.p for verdict in compare(rows(1000, 0), window, COLUMNS, PERMUTATIONS)}
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
    [verdict] = compare(read_reference(tmp_path, COLUMNS), rows(500, 1), COLUMNS, PERMUTATIONS)
    assert verdict.value is None
    assert verdict.sentence.startswith(f"Cannot compare: the reference has {count} row")


def test_a_column_without_a_number_is_said_not_to_be_measured() -> None:
    reference = rows(1000, 0)
    reference.values["score"][:] = np.nan
    reference.values["capital_share"][:] = np.nan
    assert isinstance(reference.embedding, np.ndarray)
    reference.embedding[3, 3] = np.nan
    verdicts = {verdict.name: verdict for verdict in compare(reference, rows(500, 1), COLUMNS, PERMUTATIONS)}
    for name in ("score", "capital_share", "embedding"):
        assert verdicts[name].value is None
        assert verdicts[name].sentence.startswith("Not measured: ")
    assert verdicts["length"].value is not None


def test_a_window_in_which_numbers_went_missing_is_noticed() -> None:
    window = rows(500, 1)
    window.values["capital_share"][:] = np.nan
    verdicts = {verdict.name: verdict for verdict in compare(rows(1000, 0), window, COLUMNS, PERMUTATIONS)}
    assert verdicts["capital_share"].suspicious
    assert " is no number on average" in verdicts["capital_share"].sentence


def test_columns_that_never_change_are_steady() -> None:
    def constant(count: int) -> Columns:
        values = {
            "label": np.full(count, "fees"),
            "score": np.full(count, 0.5),
            "length": np.full(count, 5.0),
            "language": np.full(count, "en"),
        }
        return Columns(values, np.ones((count, 4), dtype=np.float32))

    verdicts = compare(constant(300), constant(200), COLUMNS, PERMUTATIONS)
    assert {verdict.name for verdict in verdicts} >= {"label", "score", "length", "language", "embedding"}
    assert not any(verdict.suspicious for verdict in verdicts)


@pytest.mark.parametrize(
    ("columns", "why"),
    [
        ({"score": [0.9]}, "has no column label"),
        ({"label": ["a", None], "score": [0.9, 0.9]}, "column label must hold a string"),
        ({"label": [1], "score": [0.9]}, "column label must hold a string"),
        ({"label": ["a"], "score": ["high"]}, "column score holds no numbers"),
        ({"label": ["a", "b"], "score": [0.9, 0.9], "embedding": [[1.0], [1.0, 2.0]]}, "as many numbers in each row"),
    ],
)
def test_a_reference_that_no_export_wrote_is_one_sentence(
    tmp_path: Path, columns: dict[str, list[Any]], why: str
) -> None:
    pq.write_table(pa.table(columns), tmp_path / "reference.parquet")
    with pytest.raises(UserError, match=f"{why}.*export the model again"):
        read_reference(tmp_path, COLUMNS)


def test_a_damaged_reference_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "reference.parquet").write_bytes(b"PAR1 no more")
    with pytest.raises(UserError, match=r"cannot be read: .*export the model again"):
        read_reference(tmp_path, COLUMNS)


def test_without_inputs_it_measures_what_it_can_and_says_what_it_cannot() -> None:
    whole = rows(500, 1)
    window = Columns({name: whole.values[name] for name in ("label", "score", "length", "truncated")}, NO_INPUTS)
    verdicts = {verdict.name: verdict for verdict in compare(rows(1000, 0), window, COLUMNS, PERMUTATIONS)}
    assert verdicts["label"].value is not None
    assert verdicts["embedding"].value is None
    assert "BOATYARD_JOURNAL_INPUT" in verdicts["embedding"].sentence


def test_a_model_without_embeddings_is_compared_by_the_rest(tmp_path: Path) -> None:
    reference = pa.table({name: values.tolist() for name, values in rows(1000, 0).values.items()})
    pq.write_table(reference, tmp_path / "reference.parquet")
    window = Columns(rows(500, 1).values, NO_EMBEDDING)
    verdicts = {
        verdict.name: verdict for verdict in compare(read_reference(tmp_path, COLUMNS), window, COLUMNS, PERMUTATIONS)
    }
    assert verdicts["embedding"].value is None
    assert "makes no embeddings" in verdicts["embedding"].sentence
    assert all(verdicts[column.name].value is not None for column in COLUMNS)


def test_a_score_that_is_no_number_is_a_fault_of_the_data() -> None:
    window = rows(500, 1)
    window.values["score"][7] = np.nan
    assert "missing_score" in noticed(window)


def test_many_tests_ring_no_more_often_than_one() -> None:
    permutations = Permutations(200, 100, PERMUTATIONS)
    rung = 0
    for seed in range(60):
        draw = np.random.default_rng(seed)
        tested = judge({str(name): permutations.shift(draw.normal(size=300)) for name in range(10)}, {}, level=0.05)
        rung += any(one.suspicious for one in tested.values())
    assert rung <= 9  # of 60, where 3 are aimed at; ten tests at 5% each would ring 24 times


def test_equal_values_are_one_step() -> None:
    permutations = Permutations(2, 2, 0)
    assert permutations.shift(np.array([0.0, 0.0, 0.0, 0.0])).values[0] == 0
    assert permutations.shift(np.array([0.0, 1.0, 1.0, 1.0])).values[0] == 0.5
    assert permutations.shift(np.array([0.0, 0.0, 1.0, 1.0])).values[0] == 1


def test_a_bundle_of_an_earlier_version_is_compared_by_what_it_holds(tmp_path: Path) -> None:
    pq.write_table(
        pa.table({"label": LABELS * 10, "score": [0.9] * 200, "length": [5] * 200}), tmp_path / "reference.parquet"
    )
    verdicts = {
        verdict.name: verdict
        for verdict in compare(read_reference(tmp_path, COLUMNS), rows(200, 1), COLUMNS, PERMUTATIONS)
    }
    assert verdicts["length"].value is not None
    assert verdicts["capital_share"].value is None
    assert "export the model again" in verdicts["capital_share"].sentence
    assert "export the model again" in verdicts["embedding"].sentence


def test_a_bundle_without_a_reference_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"has no reference\.parquet.*export the model again"):
        read_reference(tmp_path, COLUMNS)


def numeric(count: int, seed: int, mean: float = 0.0) -> Columns:
    """Answered with a number."""
    values = rows(count, seed).values
    values["value"] = np.random.default_rng(seed).normal(mean, 3.0, count)
    return Columns({column.name: values[column.name] for column in NUMBERS}, rows(count, seed).embedding)


def test_numeric_answers_that_drift_are_noticed() -> None:
    def compared(mean: float) -> dict[str, Verdict]:
        verdicts = compare(numeric(1000, 0), numeric(500, 1, mean), NUMBERS, PERMUTATIONS)
        return {verdict.name: verdict for verdict in verdicts}

    assert not any(verdict.suspicious for verdict in compared(0.0).values())
    drifted = compared(1.0)
    assert [name for name, verdict in drifted.items() if verdict.suspicious] == ["value"]
    assert drifted["value"].sentence.startswith("The answer is 0.893 on average, against -0.144 in the reference: ")
    assert drifted["value"].group == "prediction"
    assert list(drifted)[-1] == "missing_value"


def test_a_reference_without_any_number_of_the_answer_is_compared_by_the_rest() -> None:
    reference = Columns({"value": np.full(500, np.nan)}, NO_EMBEDDING)
    verdicts = {verdict.name: verdict for verdict in compare(reference, numeric(500, 1), NUMBERS, PERMUTATIONS)}
    assert all(verdict.value is None for name, verdict in verdicts.items() if name != "missing_value")


def test_a_described_column_of_another_kind_is_not_measured(tmp_path: Path) -> None:
    pq.write_table(
        pa.table({"label": LABELS * 10, "score": [0.9] * 200, "language": [1] * 200}), tmp_path / "reference.parquet"
    )
    reference = read_reference(tmp_path, COLUMNS)
    verdicts = {verdict.name: verdict for verdict in compare(reference, rows(200, 1), COLUMNS, PERMUTATIONS)}
    assert verdicts["language"].value is None
    assert "export the model again" in verdicts["language"].sentence
