"""The configuration: everything composes, and what does not fit is refused with the nearest that would."""

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import get_args

import pytest
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig
from pydantic import BaseModel

from boatyard.config import compose as module
from boatyard.config.compose import CONFIGS, load_config, options, own_rows, read_config
from boatyard.config.errors import UserError
from boatyard.config.owned import plugins
from boatyard.config.schema import Config, Train

pytestmark = pytest.mark.unit

NEEDED = {
    "csv": ["data.path=x.csv", "data.name=x"],
    "detect": ["data.path=x", "data.name=x"],
    "fakenews": ["data.path=x.csv"],
    "fasta": ["data.path=x.fasta", "data.name=x"],
    "images": ["data.path=x", "data.name=x"],
    "table": ["data.path=x.csv", "data.name=x", "data.target=y"],
    "boosting": ["data=table", "data.path=x.csv", "data.name=x", "data.target=y"],
    "convnet": ["data=images", "data.path=x", "data.name=x"],
    "heatmap": ["data=harbour"],
    "residues": ["data=resistance"],
    "tabm": ["data=table", "data.path=x.csv", "data.name=x", "data.target=y"],
}
CHOICES = [(f.parent.name, f.stem) for f in sorted(CONFIGS.glob("*/*.yaml"))]


@pytest.mark.parametrize(("group", "option"), CHOICES)
def test_every_option_of_every_group_composes(group: str, option: str) -> None:
    assert isinstance(load_config([f"{group}={option}", *NEEDED.get(option, [])]), Config)


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("data.nme=x", "unknown key data.nme; did you mean data.name?"),
        ("learning_rate=1", "unknown key learning_rate; did you mean train.learning_rate?"),
        ("train.learning_rat=1", "unknown key train.learning_rat; did you mean train.learning_rate?"),
        ("+data.foo=1", "unknown key data.foo"),
        ("train.adam_beta3=1", "unknown key train.adam_beta3; did you mean train.adam_beta2?"),
        ("model.heads=2", "unknown key model.heads; did you mean model.head?"),
        ("model=tinny", "model=tinny: there is no such option; did you mean tiny?"),
        (
            "model=null",
            f"model=None: there is no such option; there are: {', '.join(options('model')[:12])}",
        ),
        ("data=[inbox,csv]", "data=['inbox', 'csv']: there is no such option"),
        ("experiment=overfitt", "did you mean overfit?"),
        ("paths.processed=${oc.env:BOATYARD_NOT_SET}", "BOATYARD_NOT_SET"),
        ("train.seed=abc", "train.seed='abc': input should be a valid integer"),
        ("model.dropout=2", "model.dropout=2: input should be less than 1"),
        ("data.on_bad_row=drop", "data.on_bad_row='drop': input should be 'stop' or 'quarantine'"),
        ("data.name=Not/OK", "data.name='Not/OK': string should match pattern"),
        ("publish.alias=UPPER", "publish.alias='UPPER': string should match pattern"),
        ("publish.alias=20260102T030405Z-0a1b2c3d", "string should match pattern"),
        ("data.test_share=0.95", "leave no rows to train on"),
        (
            "train.metric_for_best_model=acuracy",
            "train.metric_for_best_model='acuracy': input should be 'score', 'loss', 'accuracy' or 'macro_f1'",
        ),
        ("train.hub_token=x", "train.hub_token is set by boatyard itself"),
        ("train.output_dir=x", "train.output_dir is set by boatyard itself"),
        ("train.report_to=none", "train.report_to is set by boatyard itself"),
        ("~data.path", "keys cannot be removed"),
        ("nonsense", "not a key=value override"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_would(override: str, sentence: str) -> None:
    with pytest.raises(UserError) as refusal:
        load_config([override])
    assert sentence in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_data_set_without_rows_of_its_own_asks_for_them() -> None:
    with pytest.raises(UserError, match=r"data\.path must be given: add data\.path=\.\.\."):
        load_config(["data=fakenews"])


@pytest.mark.parametrize(
    ("chosen", "own"),
    [
        ([], "csv"),
        (["data=csv", "data.path=x", "data.name=x", "data.task=regression"], "csv"),
        (["data=houses"], "table"),
        (["data=resistance"], "fasta"),
        (["data=harbour"], "detect"),
    ],
)
def test_the_choice_for_rows_of_ones_own_is_of_the_same_input(chosen: list[str], own: str) -> None:
    assert own_rows(load_config(chosen).data) == own


def test_further_training_arguments_are_taken_by_their_own_names_and_types() -> None:
    assert load_config(["train.adam_beta2=0.98"]).train.model_dump()["adam_beta2"] == 0.98
    with pytest.raises(UserError, match=r"train\.adam_beta2=abc: input should be a valid number"):
        load_config(["train.adam_beta2=abc"])


def test_a_model_brings_its_learning_rate_and_the_command_line_has_the_last_word() -> None:
    assert load_config(["model=minilm"]).train.learning_rate == 3e-4
    assert load_config(["model=minilm", "train.learning_rate=1e-5"]).train.learning_rate == 1e-5


def test_each_file_opens_with_the_command_that_uses_it() -> None:
    for group, option in CHOICES:
        head = "".join(Path(CONFIGS, group, f"{option}.yaml").read_text().splitlines(keepends=True)[:3])
        assert head.startswith("#"), f"{group}/{option}"


def test_the_storage_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_config().paths.storage == "."
    monkeypatch.setenv("BOATYARD_STORAGE", "/elsewhere")
    assert load_config().paths.storage == "/elsewhere"


def test_the_composed_configurations_hold_every_key_of_the_schema_and_no_other() -> None:
    composed: set[str] = set()
    for option in options("data"):
        for model in ("tiny", "scratch"):  # a pretrained one has no shape to choose
            with initialize_config_dir(str(CONFIGS), version_base="1.3"):
                chosen = [f"data={option}", f"model={model}", *NEEDED.get(option, [])]
                composed |= set(leaves(compose("config", chosen)))
    searched = {key for key in schema_keys(Config) if key.startswith("sweep.")}  # told by a file of that group
    owned = {key for plugin in plugins() for key in plugin.keys}
    optional = {"data.hub", "experiment", "sweep", "model.text.scratch"}
    assert composed - owned - optional == schema_keys(Config) - searched


def leaves(node: DictConfig, prefix: str = "") -> Iterator[str]:
    for key in node:
        value = node[key]
        if isinstance(value, DictConfig) and key != "rename":
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


def schema_keys(section: type[BaseModel], prefix: str = "") -> set[str]:
    keys: set[str] = set()
    for name, field in section.model_fields.items():
        inner = [t for t in (field.annotation, *get_args(field.annotation)) if hasattr(t, "model_fields")]
        keys |= schema_keys(inner[0], f"{prefix}{name}.") if inner else {prefix + name}
    return keys


def test_the_training_defaults_are_training_arguments_names() -> None:
    from transformers import TrainingArguments

    keys = yaml.safe_load((CONFIGS / "train" / "default.yaml").read_text())
    assert keys.keys() - Train.OWN <= TrainingArguments.__dataclass_fields__.keys()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"name: x\n\tpath: y\n", "mine.yaml, line 2: not YAML: found character '\\t'"),
        (b"name: x\npath: [a\nlabel: b\n", "mine.yaml, line 3: not YAML: expected"),
        (b"name: x: y\n", "mine.yaml, line 1: not YAML"),
        (b"name: x\nname: y\n", "mine.yaml, line 2: not YAML: found duplicate key"),
        (b"name: x\npath: !!python/object:os.system a\n", "mine.yaml, line 2: not YAML"),
        (b"name: caf\xe9\n", "mine.yaml: not YAML in UTF-8"),
        ("name: x\n".encode("utf-16-le"), "mine.yaml: not YAML in UTF-8"),
        (b"- a\n- b\n", "mine.yaml: holds no keys"),
        (b'name: "${x"\n', "mine.yaml: no viable alternative"),
        (b"", "must be given"),
    ],
)
@pytest.mark.parametrize("load", [lambda _: load_config(["data=mine"]), read_config], ids=["data set", "parameters"])
def test_a_yaml_that_cannot_be_read_is_one_sentence_with_its_file_and_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, load: Callable[[Path], object], content: bytes, sentence: str
) -> None:
    shutil.copytree(CONFIGS, tmp_path / "configs")
    monkeypatch.setattr(module, "CONFIGS", tmp_path / "configs")
    mine = tmp_path / "configs/data/mine.yaml"
    mine.write_bytes(content)
    with pytest.raises(UserError) as refusal:
        load(mine)
    assert sentence in str(refusal.value)


NAMES = [
    *("data (1).csv", "été.csv", "日本.csv", "a,b.csv", "a=b.csv", "cost$.csv", "it's.csv", 'say "x".csv', "[x].csv"),
    *(
        "{y}.csv",
        "C:\\data\\x.csv",
        "C:\\data\\",
        "~/x.csv",
        "\\'",
        "a\\'b",
        "2021",
        "true",
        "1e5",
        "*",
        " x ",
        "(",
        "a\tb",
    ),
]


@pytest.mark.parametrize("name", NAMES)
def test_text_is_taken_as_it_was_typed(name: str) -> None:
    config = load_config(["data=csv", "data.name=x", f"data.path={name}", f"++data.target={name}"])
    assert config.data.path == config.data.target == name


@pytest.mark.parametrize(
    ("typed", "columns"),
    [
        ("[title,body]", ["title", "body"]),
        ("[Titel der Nachricht, Körper (1)]", ["Titel der Nachricht", "Körper (1)"]),
        ("['a, b',\"it's\"]", ["a, b", "it's"]),
        ("[2021,it's]", ["2021", "it's"]),
    ],
)
def test_columns_are_taken_as_they_were_typed(typed: str, columns: list[str]) -> None:
    assert load_config([*NEEDED["csv"], "data=csv", f"data.text_columns={typed}"]).data.text_columns == columns


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("body", "data.text_columns='body': input should be a valid list"),
        ("été (1)", "data.text_columns='été (1)': input should be a valid list"),
        ("[a,b,c]", "list should have at most 2 items"),
    ],
)
def test_columns_that_are_no_list_of_one_or_two_are_refused(typed: str, sentence: str) -> None:
    with pytest.raises(UserError, match=re.escape(sentence)):
        load_config([*NEEDED["csv"], "data=csv", f"data.text_columns={typed}"])


def test_null_interpolation_and_quotes_stay_hydras(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROWS", "there")
    config = load_config(["data=csv", "data.name='x'", "data.path=${oc.env:ROWS}/a (1).csv", "publish.alias=null"])
    assert (config.data.name, config.data.path, config.publish.alias) == ("x", "there/a (1).csv", None)
