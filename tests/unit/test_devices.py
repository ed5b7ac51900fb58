"""A GPU that was paid for is used, or the job ends."""

import logging
from pathlib import Path

import pytest
import torch

from boatyard.config.errors import UserError
from boatyard.train.devices import GIVEN, log_devices, require_gpus

pytestmark = pytest.mark.unit


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What answers as NVIDIA's program, of a driver that is too old for torch."""
    program = tmp_path / "nvidia-smi"
    program.write_text('#!/bin/sh\n[ "$1" = --query-gpu=driver_version ] && printf "550.90.07\\n550.90.07\\n"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))


def seen(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda number: f"Tesla T4 {number}")


@pytest.mark.usefixtures("driver")
@pytest.mark.parametrize(("given", "visible"), [("1", 0), ("4", 3)])
def test_fewer_gpus_than_were_given_end_the_job_in_one_sentence(
    given: str, visible: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen(visible, monkeypatch)
    with pytest.raises(UserError) as refused:
        require_gpus({GIVEN: given})
    for words in (f"given {given} GPU(s)", f"torch sees {visible}", "installed: 550.90.07", "LD_LIBRARY_PATH"):
        assert words in str(refused.value)


def test_without_a_word_of_gpus_those_that_are_seen_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for count in (0, 2):
        seen(count, monkeypatch)
        assert require_gpus({}) == require_gpus({GIVEN: ""}) == count


@pytest.mark.usefixtures("driver")
def test_the_log_begins_with_what_is_trained_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    seen(2, monkeypatch)
    log_devices()
    assert "GPUs: Tesla T4 0, Tesla T4 1; driver: 550.90.07; torch 2." in caplog.text


def test_the_image_looks_where_the_machine_has_its_driver() -> None:
    text = (Path(__file__).parents[2] / "dockerfiles" / "trainer.dockerfile").read_text()
    assert "LD_LIBRARY_PATH=/usr/local/nvidia/lib64:/usr/local/nvidia/lib" in text
    assert "/usr/local/nvidia/bin" in text
