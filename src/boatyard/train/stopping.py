"""An orderly end on SIGTERM or SIGINT: the step in hand, a checkpoint, then the way out."""

import logging
import signal
from types import FrameType, TracebackType
from typing import Any, Self

import torch
from transformers import TrainerCallback

log = logging.getLogger(__name__)

_SIGNALS = signal.SIGTERM, signal.SIGINT


class StopOnSignal(TrainerCallback):
    """Handles the signals while it is entered. A second one ends the process at once, as ever."""

    def __init__(self) -> None:
        self.received = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._receive) for number in _SIGNALS}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._restore()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Save here, unless the epoch ends here too: its evaluation comes first."""
        if args.world_size > 1:  # the processes must stop at one step
            heard = torch.tensor(self.received, device=args.device)
            torch.distributed.all_reduce(heard, torch.distributed.ReduceOp.MAX)
            self.received = int(heard)
        if self.received:
            control.should_training_stop = True
            control.should_save = not _epoch_is_over(state)

    def on_epoch_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Called where the epoch is left early too."""
        if self.received:
            control.should_save = _epoch_is_over(state)
            control.should_evaluate = control.should_evaluate and _epoch_is_over(state)

    def _receive(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        self.received = number
        log.warning("train: %s: finishing this step, then keeping a checkpoint", signal.Signals(number).name)
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}


def _epoch_is_over(state: Any) -> bool:
    return float(state.epoch).is_integer()
