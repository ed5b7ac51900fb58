"""The profile of a training step: of the very training, kept apart from it, and right about what holds it up."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from plants import write_plants
from stages import plants_config

from boatyard.config.errors import UserError
from boatyard.config.schema import Config
from boatyard.data.encode import encode
from boatyard.data.prepare import prepare
from boatyard.inputs.text.encoder import TextEncoder
from boatyard.train.profile.measure import Profile
from boatyard.train.profile.run import profile

pytestmark = [pytest.mark.integration, pytest.mark.slow]


def profiled(config: Config) -> Profile:
    prepared = prepare(config)
    return profile(config, prepared, encode(config, prepared))


@pytest.fixture
def plants(tmp_path: Path) -> Path:
    return write_plants(tmp_path / "plants.csv")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a profile leaves behind, of a training that would evaluate, keep checkpoints and be tracked."""
    root = tmp_path_factory.mktemp("profiled")
    keeping = "train.save_strategy=steps", "train.save_steps=1", "train.eval_strategy=steps", "train.eval_steps=1"
    profiled(plants_config(root, write_plants(root / "plants.csv"), *keeping, "tracking=offline"))
    return root


@pytest.fixture(scope="module")
def report(made: Path) -> Path:
    return made / "reports" / "profile" / "plants"


def test_every_part_takes_time_and_together_they_are_the_step(report: Path) -> None:
    facts = json.loads((report / "report.json").read_text())
    parts = facts["parts"]
    assert list(parts) == ["data wait", "forward", "backward", "optimiser", "rest"]
    assert all(part["milliseconds"] > 0 for part in parts.values())
    assert sum(part["milliseconds"] for part in parts.values()) == pytest.approx(facts["step_milliseconds"])
    assert sum(part["share"] for part in parts.values()) == pytest.approx(1)


def test_the_report_has_the_table_and_closes_with_the_bottleneck(report: Path) -> None:
    text = (report / "report.md").read_text()
    assert "| data wait |" in text
    assert json.loads((report / "report.json").read_text())["bottleneck"] in text


def test_the_trace_is_chromes_and_bears_the_names_of_the_parts(report: Path) -> None:
    trace = json.loads((report / "trace.json").read_text())
    spans = [event for event in trace["traceEvents"] if event["ph"] == "X"]
    assert all(event["dur"] >= 0 for event in spans)
    names = [event["name"] for event in spans]
    assert names.count("forward") == names.count("backward") == 3
    assert {"data wait", "optimiser", "aten::addmm"} <= set(names)


def test_nothing_of_the_training_is_kept_or_tracked(made: Path) -> None:
    assert not (made / "runs").exists()


def test_what_was_trained_before_stays_as_it_was(tmp_path: Path, plants: Path) -> None:
    from boatyard.train.fit import train

    config = plants_config(tmp_path, plants, "train.max_steps=2", "train.save_strategy=steps", "train.save_steps=1")
    prepared = prepare(config)
    encoded = encode(config, prepared)
    trained = train(config, prepared, encoded)

    def files() -> dict[Path, int]:
        return {file: file.stat().st_mtime_ns for file in trained.run.rglob("*")}

    before = files()
    profile(config, prepared, encoded)
    assert files() == before


def test_rows_and_their_cost_are_those_of_the_measured_steps(tmp_path: Path, plants: Path) -> None:
    measured = profiled(plants_config(tmp_path, plants, "train.gradient_accumulation_steps=2"))
    # 78 rows make batches of 16, 16 | 16, 16 | 14: three steps an epoch, and the 50 after the first 5 hold 16 epochs,
    # the last step of one and the first of another
    assert measured.rows == 16 * 78 + 14 + 32
    assert measured.rows < measured.cost <= measured.slots


def test_padding_is_told_and_grouping_by_length_lessens_it(tmp_path: Path, plants: Path) -> None:
    small = "train.per_device_train_batch_size=4"  # 16 rows are sorted together
    grouped = profiled(plants_config(tmp_path, plants, small))
    shuffled = profiled(plants_config(tmp_path, plants, small, "train.train_sampling_strategy=random"))
    assert 0 < grouped.padding < shuffled.padding


def test_a_training_whose_batches_come_slowly_is_told_to_fetch_them_in_other_processes(
    tmp_path: Path, plants: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    collate = TextEncoder.collate

    def slowly(self: TextEncoder, items: Any) -> Any:
        time.sleep(0.05)
        return collate(self, items)

    monkeypatch.setattr(TextEncoder, "collate", slowly)
    profiled(plants_config(tmp_path, plants))
    said = capsys.readouterr().out
    assert "The bottleneck is waiting for data" in said
    assert "train.dataloader_num_workers" in said


def test_several_processes_are_refused(tmp_path: Path, plants: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = plants_config(tmp_path, plants)
    prepared = prepare(config)
    encoded = encode(config, prepared)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UserError, match="without torchrun"):
        profile(config, prepared, encoded)
