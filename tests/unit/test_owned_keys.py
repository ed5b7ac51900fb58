"""The keys that one input or one task owns: their defaults, the names they had before, and where they are shown."""

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


def test_every_owned_key_has_a_default() -> None:
    sections = [section for plugin in plugins() for section in plugin.sections.values()]
    assert not [name for section in sections for name, field in section.model_fields.items() if field.is_required()]


# part: classification
def test_the_former_name_is_understood_in_an_adopted_file_and_an_override_wins(adopted: Path) -> None:
    assert load_config(["data=mine"]).data.target == "topic"
    assert load_config(["data=mine", "data.target=other"]).data.target == "other"
    assert load_config(["data=mine", "data.label_column=other"]).data.target == "other"
    assert refusal("data=mine", "data.task=regression").endswith("and this is regression; give data.target")
    assert load_config(["data=mine", "data.task=regression", "data.target=price"]).data.target == "price"
    adopted.write_text(f"{adopted.read_text()}kind: text\n")
    assert refusal("data=mine") == "data.kind is now data.input"


# part end


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
