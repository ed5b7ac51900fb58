"""Tests of single inputs, on real bundles: what a file may say, and which models it refuses."""

import csv
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from bundles import write_bundle, write_regression_bundle
from pictures import BLUE, RED, plain, publish_pictures

from boatyard import registry, tasks
from boatyard.bundle.manifest import Card, open_bundle
from boatyard.bundle.predict import Predictor
from boatyard.config.errors import UserError
from boatyard.registry.behaviour import Outcome, ask_behaviours, render
from boatyard.registry.expected import read_behaviours
from boatyard.storage import open_storage

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
Ask = Callable[..., Outcome]


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    folder = tmp_path_factory.mktemp("labels")
    write_bundle(folder)
    return Predictor(open_bundle(folder))


@pytest.fixture(scope="module")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    folder = tmp_path_factory.mktemp("numbers")
    write_regression_bundle(folder)
    return Predictor(open_bundle(folder))


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    def one(predictor: Predictor, *lines: str) -> Outcome:
        (outcome,) = ask_behaviours(predictor, write(tmp_path, *lines, model=predictor.manifest.name))
        return outcome

    return one


def rows_of(file: str) -> list[dict[str, str]]:
    with (ROOT / "data/raw" / file).open(encoding="utf-8", newline="") as rows:
        return list(csv.DictReader(rows))


def write(folder: Path, *lines: str, model: str = "ferry") -> Path:
    """A file with one behaviour of these lines."""
    text = "\n".join(f"    {line}" for line in ("name: it", *lines))
    (folder / "file.yaml").write_text(f"model: {model}\nbehaviour:\n  -{text[3:]}\n")
    return folder


def test_an_input_has_its_answer_or_the_failure_names_the_input_and_both_answers(ask: Ask, labels: Predictor) -> None:
    right = ask(labels, "input: {text: my card was stolen}", "answer: {label: card_lost, score: {at_least: 0.5}}")
    assert (right.cases, right.failures, right.refusal) == (1, [], None)
    wrong = ask(labels, "input: [{text: my card}, {text: send iban}]", "answer: {label: card_lost}")
    assert (wrong.cases, len(wrong.failures)) == (2, 1)
    assert (wrong.refusal or "").startswith("it fails the behaviour 'it' of ")
    assert wrong.failures[0] == (
        'asked {"text": "send iban"} it answers {"label": "transfer"}, and {"label": "card_lost"} is expected'
    )
    assert render("ferry", [right, wrong]).startswith("Behaviour cases asked: 3.\n")
    assert "| it | 1 of 2 | no |" in render("ferry", [wrong])
    assert ask(labels, "input: {text: iban}", "answer: {label: {one_of: [fees, transfer]}}").holds


def test_a_change_leaves_the_answer_the_same_within_its_tolerance(
    ask: Ask, labels: Predictor, numbers: Predictor
) -> None:
    same = "input: {text: my card}", "then: same"
    assert ask(labels, *same, "change: [{text: MY CARD}, {text: lost card}]").cases == 2
    moved = ask(labels, *same, "change: {text: my fee}")
    assert '"card_lost"' in moved.failures[0]
    assert '"fees"' in moved.failures[0]
    assert "must be the same" in moved.failures[0]
    further = "input: {text: iban}", "change: {text: iban iban card}", "then: same"  # 3.33 and 4.2
    assert not ask(numbers, *further, "by: 0.8").holds
    assert ask(numbers, *further, "by: 0.9").holds


def test_a_change_moves_a_number_one_way_and_far_enough(ask: Ask, labels: Predictor, numbers: Predictor) -> None:
    dearer = "input: {text: card}", "change: {text: card fee}"  # 0.33 and 25.25
    assert ask(numbers, *dearer, "then: higher", "by: 24").holds
    assert not ask(numbers, *dearer, "then: higher", "by: 25").holds
    assert "the number is 0.333333 and 25.25, which must be lower" in ask(numbers, *dearer, "then: lower").failures[0]
    less = "input: {text: card lost}", "change: {text: card fee}"
    assert ask(labels, *less, "then: lower").holds, "of the answer's own label"
    assert ask(labels, *less, "of: {label: fees}", "then: higher").holds


def test_a_share_may_fail_and_what_is_not_required_refuses_nothing(ask: Ask, labels: Predictor) -> None:
    half = "input: [{text: card}, {text: iban}]", "answer: {label: transfer}"
    assert ask(labels, *half, "share: 0.5").holds
    assert not ask(labels, *half, "share: 0.6").holds
    told = ask(labels, *half, "required: false")
    assert (told.holds, told.refusal) == (False, None)
    assert "no, and need not" in render("ferry", [told])


def test_pictures_are_asked_by_their_path_and_objects_are_looked_for(ask: Ask, tmp_path: Path) -> None:
    sealed = publish_pictures(tmp_path)
    storage = open_storage(str(tmp_path / "storage"))
    reference = registry.Reference(sealed.name, sealed.version)
    predictor = Predictor(registry.fetch(storage, reference, tmp_path / "fetched"))
    for name, colour in {"red": RED, "blue": BLUE}.items():
        (tmp_path / f"{name}.png").write_bytes(plain(colour))
    red, blue = tmp_path / "red.png", tmp_path / "blue.png"
    objects = "objects: {has: {label: red}, lacks: {label: blue}}"
    assert ask(predictor, f"input: {red}", f"answer: {{found: 1, {objects}}}").holds
    assert not ask(predictor, f"input: {blue}", f"answer: {{{objects}}}").holds
    assert ask(predictor, f"input: {red}", f"change: {blue}", "then: same").holds, "each has one object"
    with pytest.raises(UserError, match=r"\(it\): the model cannot be asked this: .*none\.png: no such file"):
        ask(predictor, f"input: {tmp_path / 'none.png'}", "answer: {found: 0}")


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (["input: {text: x}", "answer: {lable: fees}"], r"an answer has no 'lable'; did you mean label\?"),
        (["input: {text: x}", "answer: {label: fee}"], r"the model never answers fee; did you mean fees\?"),
        (["input: {text: x}", "answer: {label: {at_least: 1}}"], "at_least and at_most are of numbers"),
        (["input: {text: x}", "answer: {label: {has: {a: 1}}}"], "has and lacks are of lists"),
        (["input: {text: x}", "answer: {score: {least: 1}}"], "answer.score.least: .*; a condition has at_least"),
        (["input: {text: x}", "answer: {score: 2}"], "2 is greater than the maximum of 1"),
        (["input: {text: x}"], "has either an answer, or a change"),
        (["input: {text: x}", "answer: {label: fees}", "then: same"], "has either an answer, or a change"),
        (["input: {text: x}", "change: {text: y}", "then: more"], "then is more; input should be 'same', 'higher' or"),
        (["input: {text: x}", "change: {text: y}", "then: higher", "of: {label: fee}"], "did you mean fees"),
        (["input: {text: x}", "change: {text: y}", "then: same", "of: {label: fees}"], "goes with then: higher"),
        (["input: {text: x}", "chang: {text: y}", "then: same"], r"unknown key chang; did you mean change\?"),
        (["input: 3", "answer: {label: fees}"], "input must be a request's fields, the path of a file"),
        (["answer: {label: fees}"], "input must be given"),
        (["input: {txt: x}", "answer: {label: fees}"], "the model cannot be asked this: unknown field 'txt'"),
        (["input: x.png", "answer: {label: fees}"], "x.png would be a file, and requests of this input are none"),
    ],
)
def test_a_wrong_file_is_one_sentence_with_its_place(
    tmp_path: Path, labels: Predictor, lines: list[str], sentence: str
) -> None:
    with pytest.raises(UserError, match=rf"file\.yaml\b.*\(it\).*{sentence}") as refused:
        ask_behaviours(labels, write(tmp_path, *lines))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("content", ["- a list", "behaviour: []", "model: [", "model: 3"])
def test_a_file_of_no_model_is_refused_by_name(tmp_path: Path, labels: Predictor, content: str) -> None:
    (tmp_path / "file.yaml").write_text(content)
    with pytest.raises(UserError, match=r"file\.yaml (must begin with `model:`|is no YAML)"):
        read_behaviours(tmp_path, labels.manifest)


@pytest.mark.parametrize(
    ("name", "task", "target"),
    [
        ("fakenews", "classification", {"labels": ["fake", "real"]}),
        ("harbour", "detection", {"classes": ["boat", "buoy", "lighthouse"]}),
        ("houses", "regression", {}),
        ("inbox", "classification", {"labels": sorted({row["label"] for row in rows_of("inbox.csv")})}),
        ("resistance", "classification", {"labels": ["A", "B", "C", "D", "non"]}),
    ],
)
def test_the_bundled_files_ask_what_their_models_can_answer(name: str, task: str, target: dict[str, Any]) -> None:
    card = SimpleNamespace(name=name, answer_schema=tasks.serving(task).answer_schema(target))
    behaviours = [behaviour for _, behaviour in read_behaviours(ROOT / "tests/behaviour", cast(Card, card))]
    assert {behaviour.then for behaviour in behaviours} > {"same"}
    asked = [each for behaviour in behaviours for each in (behaviour.input, behaviour.change)]
    files = [each for some in asked for each in (some if isinstance(some, list) else [some]) if isinstance(each, str)]
    assert all((ROOT / file).is_file() for file in files)


def test_files_of_other_models_ask_nothing_which_the_report_says(tmp_path: Path, labels: Predictor) -> None:
    outcomes = ask_behaviours(labels, write(tmp_path, "nonsense: true", model="fery"))
    assert outcomes == []
    assert render("ferry", outcomes).startswith("Behaviour cases asked: 0. No file")


def test_a_folder_that_is_not_there_is_refused_by_name(tmp_path: Path, labels: Predictor) -> None:
    with pytest.raises(UserError, match=r"there is no folder .*none: make it.* or set staging\.behaviour"):
        ask_behaviours(labels, tmp_path / "none")
