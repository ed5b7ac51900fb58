"""A recorded run that ends badly: W&B knows, and nothing but the sentence is printed."""

import signal
from pathlib import Path

import pytest
import wandb

from boatyard.config.compose import load_config
from boatyard.config.errors import Failed, Stopped, UserError
from boatyard.train.tracking import tracked

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
