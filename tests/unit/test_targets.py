"""What is to be learnt: read and checked row by row, then all together; and the configuration's keys for it."""

import json
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from boatyard import inputs, tasks
from boatyard.config.cli import run
from boatyard.config.compose import load_config, read_config
from boatyard.config.errors import UserError
from boatyard.config.schema import Config
from boatyard.data.__main__ import main
from boatyard.data.ledger import TRAIN, VALIDATION, Findings, Ledger
from boatyard.data.prepare import prepare as prepare_rows
from boatyard.inputs.training_protocol import Problem
from boatyard.tasks.classification.targets import Labels
from boatyard.tasks.regression.targets import Values, refusal

pytestmark = pytest.mark.unit

OWN = ("data=csv", "data.path=x.csv", "data.name=x")
CLASSIFICATION = ("data.task=classification",)
REGRESSION = ("data.task=regression", "data.target=price")
SMALL = ("model=scratch", "model.text.scratch.vocabulary=100", "tracking=none")


def config(*overrides: str) -> Config:
    return load_config([*OWN, *overrides])


def values(*numbers: float) -> Values:
    """The target of so many rows."""
    made = Values(config(*REGRESSION).data)
    for number in numbers:
        made.append(number)
    made.close()
    return made


def facts_of(*numbers: float) -> dict[str, Any]:
    """Where all of them are training rows."""
    return values(*numbers).facts(ledger([TRAIN] * len(numbers)), np.ones(len(numbers), bool))


def ledger(splits: list[int]) -> Ledger:
    made = Ledger(["x.csv"])
    for number, split in enumerate(splits, 2):
        made.add(0, number, split, 1, number, number, number)
    made.close()
    return made


def prepare(folder: Path, rows: Path, *overrides: str) -> int:
    """The exit status of `python -m boatyard.data`."""
    places = [f"paths.{place}={folder / place}" for place in ("processed", "runs", "reports", "storage")]
    words = ["data=csv", f"data.path={rows}", "data.name=x", *REGRESSION, *SMALL, *places, *overrides]
    return run("data", "", main, words, writes=("processed", "reports"))


def rows_csv(folder: Path, *cells: str) -> Path:
    path = folder / "x.csv"
    path.write_text("text,price\n" + "".join(f"house number {i},{cell}\n" for i, cell in enumerate(cells)))
    return path


# ---- numbers


@pytest.mark.parametrize(
    ("cell", "number"),
    [
        (3, 3),
        (2.5, 2.5),
        ("12", 12),
        (" 1234.5 ", 1234.5),
        ("-.5", -0.5),
        ("1e3", 1000),
        ("+7.", 7),
        (-1e15, -1e15),
        (Decimal("9.75"), 9.75),
    ],
)
def test_a_number_is_one_in_json_and_in_text(cell: object, number: float) -> None:
    assert values().read({"price": cell}) == number


IF_LABELS = " (if these are labels, add data.task=classification)"


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (None, "has no value; every row needs a number"),
        ("", "has no value; every row needs a number"),
        ("  ", "has no value; every row needs a number"),
        ("1,000", "holds '1,000'; expected a number such as 1234.5"),
        ("1_000", "holds '1_000'; expected a number such as 1234.5"),
        ("٣", "holds '٣'; expected a number such as 1234.5"),
        ("12 EUR", "holds '12 EUR'; expected a number such as 1234.5"),
        ("nan", "holds nan; expected a number between -1e+15 and 1e+15"),
        ("-Infinity", "holds -inf; expected a number between -1e+15 and 1e+15"),
        (True, f"holds True; expected a number such as 1234.5{IF_LABELS}"),
        ("true", f"holds 'true'; expected a number such as 1234.5{IF_LABELS}"),
        ([1], "holds [1]; expected a number such as 1234.5"),
        (float("nan"), "holds nan; expected a number between -1e+15 and 1e+15"),
        (float("-inf"), "holds -inf; expected a number between -1e+15 and 1e+15"),
        ("2e15", "holds 2e+15; expected a number between -1e+15 and 1e+15"),
        ("1e999", "holds inf; expected a number between -1e+15 and 1e+15"),
        (10**400, "holds inf; expected a number between -1e+15 and 1e+15"),
        ("x" * 50, f"holds '{'x' * 40}…'; expected a number such as 1234.5{IF_LABELS}"),
    ],
)
def test_what_is_no_number_is_a_problem_of_its_column(cell: object, message: str) -> None:
    problem = values().read({"price": cell})
    assert isinstance(problem, Problem)
    assert (problem.column, problem.message) == ("price", message)


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ('"1,000"', "holds '1,000'; expected a number such as 1234.5"),
        ("", "has no value; every row needs a number"),
        ("NaN", "holds nan; expected a number between -1e+15 and 1e+15"),
        ("-1e16", "holds -1e+16; expected a number between -1e+15 and 1e+15"),
    ],
)
def test_a_row_without_a_number_stops_the_command_with_its_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], cell: str, message: str
) -> None:
    assert prepare(tmp_path, rows_csv(tmp_path, "1", "2", cell, "4")) == 2
    assert f"data: x.csv, row 4, column 'price': {message} (all in " in (said := capsys.readouterr().err)
    assert "Traceback" not in said


def test_truth_values_of_json_are_no_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = tmp_path / "x.jsonl"
    records = ({"text": f"house number {i}", "price": price} for i, price in enumerate((1, 2.5, False)))
    rows.write_text("".join(json.dumps(record) + "\n" for record in records))
    assert prepare(tmp_path, rows) == 2
    assert "data: x.jsonl, row 3, column 'price': holds False; expected a number" in capsys.readouterr().err


def test_numbers_are_prepared_and_bad_ones_set_aside(tmp_path: Path) -> None:
    rows = rows_csv(tmp_path, *(str(i / 4) for i in range(60)), '"1,000"')
    assert prepare(tmp_path, rows, "data.on_bad_row=quarantine", "data.unit=EUR") == 0
    (prepared,) = (tmp_path / "processed" / "x").glob("*/prepared.json")
    target = json.loads(prepared.read_text())["target"]
    assert (target["unit"], target["minimum"] >= 0, target["maximum"] <= 14.75) == ("EUR", True, True)
    aside = (tmp_path / "reports/data/x/quarantine.csv").read_text().splitlines()
    assert aside[0] == "file,row,why,text,target"
    assert aside[1].startswith("x.csv,62,\"price holds '1,000'; ")
    assert aside[1].endswith(',house number 60,"1,000"')


def test_a_number_comes_back_as_it_was_read(tmp_path: Path) -> None:
    rows = rows_csv(tmp_path, *(str(123456789.25 + i) for i in range(60)))
    places = [f"paths.{place}={tmp_path / place}" for place in ("processed", "reports")]
    prepared = prepare_rows(config(*REGRESSION, f"data.path={rows}", *places))
    numbers = np.concatenate([prepared.targets(split) for split in prepared.splits])
    assert sorted(numbers.tolist()) == [123456789.25 + i for i in range(60)]


def test_one_number_for_every_row_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert prepare(tmp_path, rows_csv(tmp_path, *["7.5"] * 60)) == 2
    assert "data: x.csv: every row has the same number, 7.5: there is nothing to learn" in capsys.readouterr().err


def test_no_number_at_all_is_refused() -> None:
    assert refusal(facts_of()) == "no row with a number is left to train on"


@pytest.mark.parametrize(
    "numbers",
    [range(1000), [0.0] * 95 + [1.0, 2.0, 3.0, 4.0, 5.0], [1.0, 2.0], [1000.1, 1000.2, 1000.3, 1e6], [-5.0, 0.0, 5.0]],
)
def test_the_buckets_ascend_whatever_the_numbers(numbers: list[float]) -> None:
    buckets = facts_of(*numbers)["buckets"]
    assert buckets
    assert all(low < high for low, high in pairwise(buckets))


def test_the_buckets_tell_years_apart() -> None:
    assert facts_of(*[2015.0, 2016.0, 2017.0, 2018.0] * 25)["buckets"] == [2015.0, 2016.0, 2017.0, 2018.0]


def test_the_facts_are_of_the_usable_training_rows() -> None:
    usable = np.array([True, True, True, False])
    facts = values(1, 3, 50, 99).facts(ledger([TRAIN, TRAIN, VALIDATION, TRAIN]), usable)
    assert {name: facts[name] for name in ("unit", "minimum", "maximum", "mean", "std")} == {
        "unit": None,
        "minimum": 1,
        "maximum": 3,
        "mean": 2,
        "std": 1,
    }


@pytest.mark.parametrize(
    ("numbers", "log"),
    [
        (np.exp(np.linspace(-2, 2, 99)), True),
        (np.linspace(1990, 2020, 99), False),
        (np.exp(np.linspace(-2, 2, 99)) - 0.5, False),
        (-np.exp(np.linspace(-2, 2, 99)), False),
        (10 - np.exp(np.linspace(-2, 2, 99)), False),
        (np.full(9, 5.0), False),
    ],
    ids=["prices", "years", "some below zero", "all below zero", "skewed the other way", "constant"],
)
def test_the_logarithms_of_positive_skewed_numbers_are_learnt(numbers: NDArray[np.float64], log: bool) -> None:
    facts = facts_of(*numbers)
    learnt = np.log(numbers) if log else numbers
    assert (facts["log"], facts["mean"], facts["std"]) == (
        log,
        pytest.approx(learnt.mean()),
        pytest.approx(learnt.std()),
    )


def test_the_lowest_and_the_highest_number_are_kept_and_rows_are_shown_by_thirds() -> None:
    made = values(*range(9))
    essential, _ = made.essential(np.array([3, 8, 1]))
    assert essential.tolist() == [1, 2]
    assert [made.group(row) for row in (0, 4, 8)] == ["lowest third", "middle third", "highest third"]


# ---- labels


LABELS = [
    *((3, "3"), (1.0, "1.0"), (Decimal("2.5"), "2.5"), (True, "True")),
    *(("  light\t", "light"), ("cafe\u0301", "café")),
]


@pytest.mark.parametrize(("cell", "label"), LABELS)
def test_a_label_is_a_text_in_normal_form(cell: object, label: str) -> None:
    assert Labels("topic", 1).read({"topic": cell}) == label


@pytest.mark.parametrize(
    ("cell", "kind"),
    [
        (None, "missing_column"),
        (float("nan"), "missing_column"),
        ([1], "not_text"),
        (" ", "empty"),
        ("caf\udce9", "bad_bytes"),
        ("x" * 201, "long_label"),
    ],
)
def test_what_is_no_label_is_a_problem_of_its_column(cell: object, kind: str) -> None:
    problem = Labels("topic", 1).read({"topic": cell})
    assert isinstance(problem, Problem)
    assert (problem.kind, problem.column) == (kind, "topic")


def test_labels_are_stored_as_positions_among_the_sorted_usable_ones() -> None:
    labels = Labels("topic", 1)
    for label in ("b", "c", "a", "b"):
        labels.append(label)
    labels.close()
    usable = np.array([True, False, True, True])
    facts = labels.facts(ledger([TRAIN] * 4), usable)
    assert facts == {"labels": ["a", "b"]}
    assert labels.stored(facts).to_pylist() == [1, -1, 0, 1]
    assert not labels.check(ledger([TRAIN] * 4), Findings(), usable)


# ---- the configuration's keys


def test_the_former_name_of_the_target_is_understood() -> None:
    former = (*CLASSIFICATION, "data.label_column=topic")
    assert config(*former).data.target == "topic"
    assert config(*former, "data.target=topic").data.target == "topic"


def test_a_file_of_an_adopted_project_may_have_the_former_name(tmp_path: Path) -> None:
    file = tmp_path / "params.yaml"

    def read(task: str, **data: str | None) -> Config:
        values = config().model_dump()
        file.write_text(json.dumps(values | {"data": values["data"] | {"task": task, **data}}))
        return read_config(file)

    assert read("classification", label_column="topic", target=None).data.target == "topic"
    with pytest.raises(UserError, match=r"data\.label_column is the former name of data\.target: give one of them"):
        read("classification", label_column="topic", target="kind")
    with pytest.raises(UserError, match=r"data\.label_column belongs to .*, and this is regression; give data\.target"):
        read("regression", label_column="topic", target="price")


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (
            [*CLASSIFICATION, "data.label_column=topic", "data.target=kind"],
            "data.label_column is the former name of data.target: give",
        ),
        (
            ["data.label_column=topic", "data.task=regression"],
            "data.label_column belongs to data.task=classification, and this is regression; give data.target",
        ),
        (["data.kind=text"], "data.kind is now data.input"),
        (["model.max_tokens=64"], "model.max_tokens is now model.text.max_tokens"),
        (["model.scratch.layers=1"], "model.scratch is now model.text.scratch"),
        ([*CLASSIFICATION, "staging.max_accuracy_loss=0.1"], "staging.max_accuracy_loss is now staging.max_score_loss"),
        (
            [*CLASSIFICATION, "data.unit=EUR"],
            "data.unit belongs to data.task=regression, and this is classification",
        ),
        (
            [*REGRESSION, "evaluate.top_k=2"],
            "evaluate.top_k belongs to data.task=classification, and this is regression",
        ),
        ([*REGRESSION, "export.min_agreement=1"], "export.min_agreement belongs to data.task=classification"),
        ([*CLASSIFICATION, "export.max_error_growth=0.1"], "export.max_error_growth belongs to data.task=regression"),
        (
            [*REGRESSION, "train.metric_for_best_model=accuracy"],
            "train.metric_for_best_model='accuracy': input should be",
        ),
        (
            [*CLASSIFICATION, "sweep=quick", "sweep.metric=mean_absolute_error"],
            "sweep.metric='mean_absolute_error': input should be",
        ),
    ],
)
def test_a_key_that_is_not_this_tasks_is_refused_with_what_would_fit(overrides: list[str], sentence: str) -> None:
    with pytest.raises(UserError) as refusal:
        config(*overrides)
    assert str(refusal.value).startswith(sentence)


def test_a_target_must_be_named(tmp_path: Path) -> None:
    file = tmp_path / "params.yaml"
    file.write_text(json.dumps(config().model_dump() | {"data": config().data.model_dump() | {"target": None}}))
    with pytest.raises(UserError, match=r"data\.target must be given: add data\.target=COLUMN"):
        read_config(file)


def test_the_keys_of_the_chosen_task_need_no_plus() -> None:
    prices = config(*REGRESSION, "data.unit=EUR", "export.max_error_growth=0.1")
    assert prices.data.model_dump()["unit"] == "EUR"
    assert prices.export.model_dump().keys() >= {"max_error_growth", "precision"}
    assert not {"min_rows_per_label", "label_column"} & prices.data.model_dump().keys()
    assert config(*CLASSIFICATION, "evaluate.top_k=2").evaluate.model_dump()["top_k"] == 2
    assert config("model.text.max_tokens=64").model.model_dump()["text"]["max_tokens"] == 64


def test_an_unknown_input_or_task_is_refused_with_those_there_are() -> None:
    with pytest.raises(UserError) as refusal:
        config("data.input=smells")
    assert str(refusal.value) == f"unknown input 'smells': there are {', '.join(inputs.names())}"
    with pytest.raises(UserError) as refusal:
        config("data.task=ranking")
    assert str(refusal.value) == f"unknown task 'ranking': there are {', '.join(tasks.names())}"


def piles(numbers: NDArray[np.float64]) -> list[str]:
    findings = Findings()
    rows = ledger([TRAIN] * len(numbers))
    assert values(*numbers).check(rows, findings, np.ones(len(numbers), bool)) == {}
    return [issue.message for issue in findings.issues]


def test_numbers_that_pile_up_where_they_were_cut_off_are_warned_of() -> None:
    prices = np.random.default_rng(0).lognormal(12, 0.5, 500).round()
    cut_off = np.minimum(prices, np.quantile(prices, 0.95).round())
    assert piles(cut_off) == [f"holds {cut_off.max():.15g}, as 5.0% of all rows do: were numbers cut off there?"]
    assert piles(prices) == []


def test_the_highest_of_a_few_numbers_is_no_pile() -> None:
    assert piles(np.random.default_rng(0).integers(1, 6, 500).astype(float)) == []
    assert piles(np.ones(500)) == []


def test_two_numbers_may_be_labels() -> None:
    assert piles(np.tile([0.0, 1.0], 50)) == [
        "has two values, 0 and 1: if these are labels, add data.task=classification"
    ]
