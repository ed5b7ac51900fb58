"""The keys of one input or one task: taken where it is chosen, refused by name where another is."""

import shutil
from pathlib import Path

import pytest
import yaml

from boatyard import tasks
from boatyard.config import compose
from boatyard.config.cli import run
from boatyard.config.compose import CONFIGS, load_config, read_config, write_params
from boatyard.config.errors import UserError
from boatyard.config.owned import config_type, plugins
from boatyard.config.schema import keys

pytestmark = pytest.mark.unit

ROWS = ("data=csv", "data.path=x.csv", "data.name=x")
NUMBERS = (*ROWS, "data.task=regression", "data.target=price")


def refusal(*overrides: str) -> str:
    with pytest.raises(UserError) as refused:
        load_config(overrides)
    return str(refused.value)


@pytest.fixture
def adopted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data set of an earlier version in a project's own configs/."""
    shutil.copytree(CONFIGS, tmp_path / "configs")
    monkeypatch.setattr(compose, "CONFIGS", tmp_path / "configs")
    file = tmp_path / "configs/data/mine.yaml"
    file.write_text("name: mine\npath: x.csv\ntext_columns: [body]\nlabel_column: topic\n")
    return file


def test_the_keys_of_the_chosen_input_and_task_need_no_file_that_holds_them() -> None:
    config = load_config(
        [*ROWS, "data.min_rows_per_label=2", "evaluate.top_k=5", "model.text.max_tokens=16"]
    ).model_dump()
    assert config["data"]["min_rows_per_label"] == 2
    assert (config["evaluate"]["top_k"], config["export"]["min_agreement"]) == (5, 0.98)
    assert config["model"]["text"]["max_tokens"] == 16
    numbers = load_config([*NUMBERS, "data.unit=EUR (net)"]).model_dump()
    assert numbers["data"]["unit"] == "EUR (net)"
    assert numbers["export"]["max_error_growth"] == 0.01


def test_a_task_has_no_key_of_another() -> None:
    config = load_config(NUMBERS).model_dump()
    assert not {"min_rows_per_label", "label_column"} & config["data"].keys()
    assert "top_k" not in config["evaluate"]
    assert not {"max_accuracy_loss", "min_agreement"} & config["export"].keys()
    assert "unit" not in load_config(ROWS).model_dump()["data"]


def test_every_owned_key_has_a_default() -> None:
    sections = [section for plugin in plugins() for section in plugin.sections.values()]
    assert not [name for section in sections for name, field in section.model_fields.items() if field.is_required()]


@pytest.mark.parametrize(
    ("chosen", "override", "sentence"),
    [
        (ROWS, "data.unit=EUR", "data.unit belongs to data.task=regression, and this is classification"),
        (ROWS, "export.max_error_growth=0.1", "export.max_error_growth belongs to data.task=regression"),
        (NUMBERS, "data.min_rows_per_label=2", "data.min_rows_per_label belongs to data.task=classification"),
        (NUMBERS, "++evaluate.top_k=2", "evaluate.top_k belongs to data.task=classification, and this is regression"),
        (
            NUMBERS,
            "data.label_column=topic",
            "data.label_column belongs to data.task=classification, and this is regression; give data.target",
        ),
        (ROWS, "data.min_rows_per_labl=2", "unknown key data.min_rows_per_labl; did you mean data.min_rows_per_label?"),
        (ROWS, "model.text.max_tokns=2", "unknown key model.text.max_tokns; did you mean model.text.max_tokens?"),
        (ROWS, "evaluate.top_k=0", "evaluate.top_k=0: input should be greater than or equal to 1"),
        (ROWS, "data.input=pictures", "unknown input 'pictures': there are text"),
        (ROWS, "data.task=detection", "unknown task 'detection': there are classification, regression"),
        (ROWS, "data.kind=text", "data.kind is now data.input"),
        (ROWS, "model.max_tokens=8", "model.max_tokens is now model.text.max_tokens"),
        (ROWS, "model.word_dropout=0", "model.word_dropout is now model.text.word_dropout"),
        (ROWS, "model.scratch.layers=1", "model.scratch is now model.text.scratch"),
        (ROWS, "staging.max_accuracy_loss=0.1", "staging.max_accuracy_loss is now staging.max_score_loss"),
    ],
)
def test_a_key_that_has_no_place_is_refused_with_the_one_that_has(
    chosen: tuple[str, ...], override: str, sentence: str
) -> None:
    assert refusal(*chosen, override).startswith(sentence)


def test_the_former_name_of_the_target_is_understood_of_labels() -> None:
    assert load_config([*ROWS, "data.label_column=topic"]).data.target == "topic"
    assert load_config([*ROWS, "data.label_column=a (1), b"]).data.target == "a (1), b"
    assert load_config([*ROWS, "data.label_column=topic", "data.target=topic"]).data.target == "topic"
    assert refusal(*ROWS, "data.label_column=topic", "data.target=other") == (
        "data.label_column is the former name of data.target: give one of them"
    )


def test_the_former_name_is_understood_in_an_adopted_file_and_an_override_wins(adopted: Path) -> None:
    assert load_config(["data=mine"]).data.target == "topic"
    assert load_config(["data=mine", "data.target=other"]).data.target == "other"
    assert load_config(["data=mine", "data.label_column=other"]).data.target == "other"
    assert refusal("data=mine", "data.task=regression") == "data.target must be given: add data.target=COLUMN"
    adopted.write_text(f"{adopted.read_text()}kind: text\n")
    assert refusal("data=mine") == "data.kind is now data.input"


def test_a_data_set_without_a_target_asks_for_it(adopted: Path) -> None:
    adopted.write_text("name: mine\npath: x.csv\n")
    assert refusal("data=mine") == "data.target must be given: add data.target=COLUMN"


@pytest.mark.parametrize(("chosen", "task"), [(ROWS, "classification"), (NUMBERS, "regression")])
def test_cfg_shows_every_key(chosen: tuple[str, ...], task: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("train", "", print, ["--cfg", *chosen, "sweep=quick"]) == 0
    shown = yaml.safe_load(capsys.readouterr().out)
    for key, _ in keys(config_type("text", task)):
        section, skipped = shown, ("data.hub", "model.text.scratch", "sweep.space")
        for part in () if key.startswith(skipped) else key.split("."):
            section = section[part]


@pytest.mark.parametrize("chosen", [ROWS, NUMBERS])
def test_params_yaml_configures_as_the_overrides_do(chosen: tuple[str, ...], tmp_path: Path) -> None:
    write_params(chosen, tmp_path / "params.yaml")
    composed = read_config(tmp_path / "params.yaml").model_dump(exclude={"paths"})
    assert composed == load_config(chosen).model_dump(exclude={"paths"})


def test_what_dvc_composes_holds_the_keys_of_labels_with_their_defaults() -> None:
    """Hydra itself sets only keys that a file holds."""
    composed = yaml.safe_load((CONFIGS / "params.yaml").read_text())
    for path, section in tasks.settings("classification").SECTIONS.items():
        assert composed[path] == {name: field.default for name, field in section.model_fields.items()}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("train: {}\n", "data must be given"),
        ("data: 5\n", "data=5: expected keys, each with its value"),
        ("data: {name: x, task: regression}\n", "data.input must be given"),
        ("data: {name: x, input: text, task: regression, target: y}\n", "model must be given"),
        ("data: {name: x, input: text, task: regression, target: y}\nmodel: []\n", "model=[]: expected keys"),
    ],
)
def test_a_file_without_the_sections_that_choose_is_one_sentence(tmp_path: Path, content: str, sentence: str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(content)
    with pytest.raises(UserError) as refused:
        read_config(file)
    assert str(refused.value).startswith(f"{file}: {sentence}")
