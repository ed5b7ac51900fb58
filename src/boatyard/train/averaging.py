"""The moving average of a network's weights, steadier than the weights themselves (Polyak and Juditsky 1992)."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import TrainerCallback

_FILE = "average.safetensors"
_YOUNG = 10  # steps: at first the average follows the weights closely


class Average(TrainerCallback):
    """After each step, `kept` of the average stays. Of a checkpoint, it is a file of its own."""

    def __init__(self, network: nn.Module, kept: float) -> None:
        self._network = network
        self._kept = kept
        self._average = _copied(network)

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Start where the network does, unless it goes on."""
        if not state.global_step:
            self._average = _copied(self._network)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Take in the weights; counts and the like are copied."""
        kept = min(self._kept, state.global_step / (_YOUNG + state.global_step))
        for name, tensor in self._network.state_dict().items():
            if tensor.is_floating_point():
                self._average[name].lerp_(tensor, 1 - kept)
            else:
                self._average[name].copy_(tensor)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The network has the average for its weights."""
        own = _copied(self._network)
        self.settle()
        try:
            yield
        finally:
            self._network.load_state_dict(own)

    def settle(self) -> None:
        """From now on."""
        self._network.load_state_dict(self._average)

    def write(self, folder: Path) -> None:
        """Beside a checkpoint's weights."""
        save_file(self._average, folder / _FILE)

    def read(self, folder: Path) -> None:
        """What was written; where a checkpoint has none, from its weights on."""
        file = folder / _FILE
        known = load_file(file) if file.exists() else _copied(self._network)
        self._average = {name: known[name].to(tensor.device) for name, tensor in self._network.state_dict().items()}


def _copied(network: nn.Module) -> dict[str, Tensor]:
    with torch.no_grad():
        return {name: tensor.detach().clone().contiguous() for name, tensor in network.state_dict().items()}
