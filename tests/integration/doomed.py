"""Training in a process of its own that notes the rows of each step, and may be killed at one. Not a test itself."""

import json
import os
import signal
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import warm


def start(overrides: list[str], notes: Path, *, die_at: int = 0, die_writing: int = 0) -> BaseProcess:
    """Begin training; SIGKILL in the midst of step `die_at`, or of writing the checkpoint of `die_writing`."""
    return warm.start(_train, overrides, notes, die_at, die_writing)


def seen(notes: Path) -> dict[int, list[int]]:
    """The rows that each step saw, as its last attempt saw them."""
    return dict(json.loads(line) for line in notes.read_text().splitlines())


def _train(overrides: list[str], notes: Path, die_at: int, die_writing: int) -> None:
    from boatyard.config.compose import load_config
    from boatyard.data.encode import encode
    from boatyard.data.prepare import prepare
    from boatyard.train import assembly
    from boatyard.train.fit import train
    from boatyard.train.trainer import SteadyTrainer

    class Doomed(SteadyTrainer):
        def training_step(self, *arguments: Any, **named: Any) -> Any:
            loss = super().training_step(*arguments, **named)
            step = self.state.global_step + 1
            with notes.open("a") as file:
                file.write(json.dumps([step, self._positions.tolist()]) + "\n")
            if step == die_at:
                os.kill(os.getpid(), signal.SIGKILL)
            return loss

        def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
            super()._save_optimizer_and_scheduler(output_dir)
            if self.state.global_step == die_writing:
                os.kill(os.getpid(), signal.SIGKILL)

    os.environ.pop("WANDB_SERVICE", None)  # W&B's, of the tests before: it would hold the run of one that was killed
    assembly.SteadyTrainer = Doomed  # type: ignore[misc]
    config = load_config(overrides)
    prepared = prepare(config)
    train(config, prepared, encode(config, prepared))
