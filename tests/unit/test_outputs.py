"""What a stage made goes under a name that stays, and from there to its place on another machine."""

import json
from pathlib import Path

import pytest
import yaml

from boatyard.config.compose import load_config
from boatyard.config.schema import Config
from boatyard.storage.outputs import keep_output, restore_outputs

pytestmark = pytest.mark.unit

DVC = yaml.safe_load((Path(__file__).parents[2] / "dvc.yaml").read_text())


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return machine(tmp_path, "here")


def machine(root: Path, name: str) -> Config:
    """A machine of its own, with the outputs that all share."""
    places = [f"paths.{place}={root / name / place}" for place in ("processed", "runs")]
    return load_config([*places, f"paths.outputs={root / 'outputs'}"])


def write(folder: Path, **files: str) -> Path:
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


def test_another_machine_gets_every_folder_at_the_place_that_its_fingerprint_gives(
    config: Config, tmp_path: Path
) -> None:
    rows = write(Path(config.paths.processed, "ferry", "4e5a"), train="rows")
    inputs = write(rows / "inputs-77", train="tokens")
    write(rows / "inputs-88", train="of another model")
    network = write(Path(config.paths.runs, "ferry", "0b1c", "network"), weights="w")
    keep_output(config, "inputs", inputs)
    keep_output(config, "rows", rows)
    keep_output(config, "network", network)
    restore_outputs(machine(tmp_path, "there"))
    found = {
        file.relative_to(tmp_path / "there").as_posix(): file.read_text()
        for file in (tmp_path / "there").rglob("*")
        if file.is_file()
    }
    assert found == {
        "processed/ferry/4e5a/train": "rows",
        "processed/ferry/4e5a/inputs-77/train": "tokens",
        "runs/ferry/0b1c/network/weights": "w",
    }


def test_plots_lie_by_themselves_too_and_only_those_of_the_newest(config: Config, tmp_path: Path) -> None:
    for key, plot in (("0b", "errors.png"), ("1c", "scores.png")):
        evaluation = write(Path(config.paths.runs, "ferry", key), **{"report.md": "r", plot: "a picture"})
        keep_output(config, "evaluation", evaluation, plots=[evaluation / plot])
    (place,) = DVC["plots"]
    assert [file.name for file in (tmp_path / place).iterdir()] == ["scores.png"]
    restore_outputs(machine(tmp_path, "there"))
    restored = tmp_path / "there" / "runs" / "ferry" / "1c"
    assert {file.name for file in restored.iterdir()} == {"report.md", "scores.png"}


def test_what_lies_there_already_stays(config: Config) -> None:
    network = write(Path(config.paths.runs, "ferry", "0b1c", "network"), weights="w")
    keep_output(config, "network", network)
    (network / "weights").write_text("touched")
    restore_outputs(config)
    assert (network / "weights").read_text() == "touched"


def test_the_name_holds_the_newest_and_nothing_of_the_one_before(config: Config, tmp_path: Path) -> None:
    run = Path(config.paths.runs, "ferry", "0b1c")
    keep_output(config, "bundle", write(run / "bundle-1", model="one", extra="more"), {"accuracy": 0.5})
    keep_output(config, "bundle", write(run / "bundle-2", model="two"), {"accuracy": 0.75})
    outputs = tmp_path / "outputs"
    assert [file.name for file in (outputs / "bundle" / "content").iterdir()] == ["model"]
    assert (outputs / "bundle" / "place").read_text() == "ferry/0b1c/bundle-2\n"
    assert json.loads((outputs / "bundle.json").read_text()) == {"accuracy": 0.75}


def test_without_such_a_folder_nothing_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    keep_output(
        load_config(), "network", write(tmp_path / "runs" / "ferry" / "0b1c" / "network", weights="w"), {"loss": 1}
    )
    assert [folder.name for folder in tmp_path.iterdir()] == ["runs"]
