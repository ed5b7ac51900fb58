"""Steps of a real training, timed part by part, and a few more of them traced."""

import os
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.profiler import record_function, schedule
from transformers import TrainerCallback

from boatyard import inputs
from boatyard.config.schema import Config
from boatyard.data.encode import Encoded
from boatyard.data.prepare import Prepared
from boatyard.train.assembly import build_trainer
from boatyard.train.checkpoints import Checkpoints
from boatyard.train.trainer import POSITION, SteadyTrainer

DATA, FORWARD, BACKWARD, OPTIMISER, REST = "data wait", "forward", "backward", "optimiser", "rest"

_WARM_UP = 5
_STEPS = 50  # as many as group_by_length sorts together, so that both long and short rows take part
_TRACED = 3


@dataclass(frozen=True)
class Profile:
    """What `steps` steps took in all. `parts` are seconds, `slots` the cost with padding, in `cost_unit` as well."""

    device: str
    steps: int
    parts: dict[str, float]
    rows: int
    cost: int
    cost_unit: str
    slots: int
    sampling: str
    workers: int

    @property
    def seconds(self) -> float:
        """Of all parts."""
        return sum(self.parts.values())

    @property
    def padding(self) -> float:
        """Its share of what the network reads."""
        return 1 - self.cost / self.slots


def measure(config: Config, prepared: Prepared, encoded: Encoded, trace: Path) -> Profile:
    """Begin the training of `config` without keeping any of it, and write a Chrome trace of some steps to `trace`.

    The figures come from the steps before those, because tracing slows a step down.
    """
    os.environ.setdefault("KINETO_LOG_LEVEL", "6")  # else the tracer reports a missing GPU as an error
    tracing = torch.profiler.profile(
        schedule=schedule(wait=_WARM_UP + _STEPS, warmup=1, active=_TRACED, repeat=1),
        on_trace_ready=lambda traced: traced.export_chrome_trace(str(trace)),
    )
    with TemporaryDirectory() as scratch, tracing:
        trainer = build_trainer(_shortened(config), prepared, encoded, Checkpoints(Path(scratch), keep=None))
        timer = _StepTimer(trainer)
        trainer.add_callback(timer)
        trainer.add_callback(_TraceSteps(tracing))
        trainer.train()
    costs = np.asarray(encoded.splits["train"].with_format("numpy")["cost"][:])
    batches = [costs[positions.cpu()] for positions in timer.batches]
    return Profile(
        device=_name(trainer.args.device),
        steps=_STEPS,
        parts=timer.parts,
        rows=sum(len(batch) for batch in batches),
        cost=sum(int(batch.sum()) for batch in batches),
        cost_unit=inputs.training(config.data.input).COST_UNIT,
        slots=sum(batch.size * int(batch.max()) for batch in batches),
        sampling=str(trainer.args.train_sampling_strategy),
        workers=trainer.args.dataloader_num_workers,
    )


class _StepTimer(TrainerCallback):
    """Times the calls that make up a step; in a trace they have the parts' names.

    On a GPU it waits for each call to finish, so that what would overlap adds up.
    """

    def __init__(self, trainer: SteadyTrainer) -> None:
        self.parts: dict[str, float] = {}
        self.batches: list[Tensor] = []
        """The positions of each batch's rows."""
        self._trainer = trainer
        self._spent: defaultdict[str, float] = defaultdict(float)
        self._fetched: list[Tensor] = []
        self._began = 0.0
        self._time(DATA, trainer, "get_batch_samples", self._note_rows)
        self._time(FORWARD, trainer, "compute_loss")
        self._time(BACKWARD, trainer.accelerator, "backward")
        self._time(OPTIMISER, trainer.accelerator, "clip_grad_norm_")

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """The optimiser and the scheduler exist from here on."""
        self._time(OPTIMISER, self._trainer.optimizer, "step")
        self._time(OPTIMISER, self._trainer.lr_scheduler, "step")
        self._time(OPTIMISER, self._trainer.model_wrapped, "zero_grad")

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Count between the warm-up and the traced steps."""
        if state.global_step == _WARM_UP:
            self._spent.clear()
            self._fetched.clear()
            self._began = self._now()
        elif state.global_step == _WARM_UP + _STEPS:
            whole = self._now() - self._began
            self.parts = {**self._spent, REST: whole - sum(self._spent.values())}
            self.batches = self._fetched.copy()

    def _time(self, part: str, owner: Any, method: str, inspect: Callable[[Any], None] | None = None) -> None:
        call = getattr(owner, method)

        @wraps(call)
        def timed(*arguments: Any, **named: Any) -> Any:
            began = self._now()
            with record_function(part):
                result = call(*arguments, **named)
            self._spent[part] += self._now() - began
            if inspect is not None:
                inspect(result)
            return result

        setattr(owner, method, timed)

    def _note_rows(self, fetched: tuple[list[dict[str, Tensor]], Any]) -> None:
        batches, _ = fetched
        self._fetched.extend(batch[POSITION] for batch in batches)

    def _now(self) -> float:
        if self._trainer.args.device.type != "cpu":
            torch.accelerator.synchronize()
        return time.perf_counter()


class _TraceSteps(TrainerCallback):
    def __init__(self, tracing: torch.profiler.profile) -> None:
        self._tracing = tracing

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        self._tracing.step()


def _shortened(config: Config) -> Config:
    """The same training, cut short, and without anything written."""
    steps = _WARM_UP + _STEPS + 1 + _TRACED
    never = {"eval_strategy": "no", "save_strategy": "no", "load_best_model_at_end": False}
    return config.model_copy(
        update={
            "train": config.train.model_copy(update={"max_steps": steps, **never}),
            "tracking": config.tracking.model_copy(update={"mode": "disabled"}),
        }
    )


def _name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "cpu":
        threads = torch.get_num_threads()
        return f"cpu, {threads} {'thread' if threads == 1 else 'threads'}"
    return device.type
