"""A recorded run that ends badly: W&B knows, and nothing but the sentence is printed."""

import signal
from contextlib import suppress
from pathlib import Path

import pytest
import wandb
from PIL import Image

from boatyard.config.compose import load_config
from boatyard.config.errors import Failed, Stopped, UserError
from boatyard.train.tracking import record_plots, tracked

pytestmark = pytest.mark.unit

ENDS = [UserError("wrong"), Failed("tried"), Stopped(signal.SIGTERM, "kept"), KeyboardInterrupt()]


@pytest.fixture(autouse=True, scope="module")
def _service_ends() -> object:
    yield
    wandb.teardown()


@pytest.mark.slow
def test_a_training_that_is_resumed_goes_on_in_its_run_offline_too(tmp_path: Path) -> None:
    training = tmp_path / "runs" / "ferry" / "0a1b"

    def killed() -> str:
        """The name of the run, which its folder ends with, after the process was cut off."""
        config = load_config([f"paths.runs={tmp_path / 'runs'}", f"paths.checkpoints={tmp_path / 'copies'}"])
        names: list[str] = []
        with suppress(Stopped), tracked(config, "train", training):
            names.append(wandb.run.id)
            raise ENDS[2]
        (name,) = names
        assert list((tmp_path / "runs" / "wandb").glob(f"offline-run-*-{name}"))
        return name

    first = killed()
    assert first == killed()
    (training / "network").mkdir(parents=True)
    assert first != killed(), "it is trained: what follows is another run"


@pytest.mark.parametrize("end", ENDS, ids=lambda end: type(end).__name__)
def test_what_ends_a_run_is_raised_and_not_printed(
    end: BaseException, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(type(end)), tracked(load_config([f"paths.runs={tmp_path}"]), "test"):
        raise end
    assert capfd.readouterr() == ("", "")


def test_what_a_report_draws_is_recorded_with_its_name(tmp_path: Path) -> None:
    (report := tmp_path / "report").mkdir()
    Image.new("RGB", (8, 8)).save(report / "answers.png")
    with tracked(load_config([f"paths.runs={tmp_path}"]), "test"):
        record_plots(report)
    assert len([*tmp_path.glob("wandb/offline-run-*/files/media/images/answers_*.png")]) == 1
