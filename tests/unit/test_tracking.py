"""A recorded run that ends badly: W&B knows, and nothing but the sentence is printed."""

import signal
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
