"""An orderly end on a signal: finish the step, keep a checkpoint, exit."""

import logging
import signal
from time import monotonic
from types import FrameType, TracebackType
from typing import Any, Self

import torch
from transformers import TrainerCallback

from boatyard.config.processes import REPEAT_SECONDS, ending_signals

log = logging.getLogger(__name__)


class StopOnSignal(TrainerCallback):
    """Handles ending signals inside its `with` block. A second one, unless it repeats the first at once, kills."""

    def __init__(self) -> None:
        self.received = 0
        self._received_at = 0.0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._receive) for number in ending_signals()}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._restore()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Save now, unless this step ends the epoch too: its evaluation comes first."""
        if args.world_size > 1:  # all processes must stop at the same step
            received = torch.tensor(self.received, device=args.device)
            torch.distributed.all_reduce(received, torch.distributed.ReduceOp.MAX)
            self.received = int(received)
        if self.received:
            control.should_training_stop = True
            control.should_save = not _epoch_is_over(state)

    def on_epoch_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Trainer also calls this where the epoch is left early."""
        if self.received:
            control.should_save = _epoch_is_over(state)
            control.should_evaluate = control.should_evaluate and _epoch_is_over(state)

    def _receive(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        if self.received:
            if monotonic() - self._received_at > REPEAT_SECONDS:
                self._restore()
                signal.raise_signal(number)
            return
        self.received, self._received_at = number, monotonic()
        log.warning("train: %s: finishing this step, then keeping a checkpoint", signal.Signals(number).name)

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}


def _epoch_is_over(state: Any) -> bool:
    return float(state.epoch).is_integer()
