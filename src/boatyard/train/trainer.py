"""transformers' Trainer, made robust: sealed checkpoints, epochs that resume exactly, a stop on NaN."""

import random
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import torch
from accelerate.utils import gather_object
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.utils.data import Sampler
from transformers import Trainer, TrainerCallback
from transformers.trainer import TRAINER_STATE_NAME
from transformers.utils import SAFE_WEIGHTS_NAME

from boatyard.config.errors import UserError
from boatyard.model import Network
from boatyard.train.averaging import Average
from boatyard.train.checkpoints import Checkpoints
from boatyard.train.layers import decay_by_layer
from boatyard.train.sampling import EpochSampler

POSITION = "position"
"""The column of a training row's place in its split."""


class ByEpoch(Protocol):
    """What differs from epoch to epoch."""

    epoch: int


class SteadyTrainer(Trainer):
    """`describe_rows` names the training rows at some positions by file and row; `by_epoch` is told which epoch begins.

    `layer_decay` below 1 lowers the learning rate from layer to layer towards the input. `r_drop` above 0 reads each
    batch twice, with different dropout, and adds the divergence of the two readings with that weight (Liang et al.
    2021). `average` above 0: the network that is validated and kept is the moving average of all steps, of which each
    leaves so much.
    """

    def __init__(
        self,
        *,
        checkpoints: Checkpoints,
        describe_rows: Callable[[Sequence[int]], str],
        layer_decay: float,
        r_drop: float,
        average: float,
        by_epoch: ByEpoch,
        **arguments: Any,
    ) -> None:
        super().__init__(**arguments)
        self._checkpoints = checkpoints
        self._describe_rows = describe_rows
        self._layer_decay = layer_decay
        self._r_drop = r_drop
        self._positions: Tensor | None = None
        self._by_epoch: list[ByEpoch] = [by_epoch]
        self.add_callback(_SetEpoch(self._by_epoch))
        self._average = Average(self.network, average) if average else None
        if self._average is not None:
            self.add_callback(self._average)
        if smoother := self.label_smoother:
            self.label_smoother = lambda raw, targets, **named: smoother(  # type: ignore[assignment]
                raw, self.network.targets(targets), **named
            )

    @property
    def network(self) -> Network:
        """What is trained, without what Trainer wraps around it."""
        return cast(Network, self.model)

    def _get_train_sampler(self, train_dataset: Any = None) -> "Sampler[int] | None":
        strategy = self.args.train_sampling_strategy
        if strategy == "sequential":
            return super()._get_train_sampler(train_dataset)
        rows: Any = self.train_dataset if train_dataset is None else train_dataset
        costs = rows["cost"][:] if strategy == "group_by_length" else None
        batch = self.args.train_batch_size * self.args.gradient_accumulation_steps
        sampler = EpochSampler(len(rows), self.args.seed, batch, costs)
        self._by_epoch.append(sampler)
        return sampler

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """The same, with layer-wise learning rates."""
        optimizer: torch.optim.Optimizer = super().create_optimizer(model)
        if self._layer_decay < 1:
            decay_by_layer(optimizer, self.network, self._layer_decay)
        return optimizer

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        """The same, with R-Drop while training."""
        if not (self._r_drop and model.training):
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        twice = {name: torch.cat([tensor, tensor]) for name, tensor in inputs.items()}
        loss, outputs = super().compute_loss(model, twice, True, num_items_in_batch)
        halves = {name: tensor.chunk(2) for name, tensor in outputs.items() if name != "loss"}
        first, second = ({name: half[i] for name, half in halves.items()} for i in (0, 1))
        loss = loss + self._r_drop * self.network.head.divergence(first, second)
        return (loss, outputs) if return_outputs else loss

    def _prepare_inputs(self, inputs: dict[str, Any]) -> dict[str, Any]:
        self._positions = inputs.pop(POSITION, None)
        return super()._prepare_inputs(inputs)

    def training_step(self, *arguments: Any, **named: Any) -> Tensor:
        """The same, and raises UserError, before any weight is touched, where the loss is no number."""
        loss: Tensor = super().training_step(*arguments, **named)
        if not torch.isfinite(loss):
            assert self._positions is not None
            raise UserError(
                f"the loss became {float(loss)} at step {self.state.global_step + 1}, on the training rows "
                f"{self._describe_rows(self._positions.tolist())}; a lower train.learning_rate or "
                "train.max_grad_norm may help, or something is wrong with these rows"
            )
        return loss

    def train(self, *arguments: Any, **named: Any) -> Any:
        """The same, and the network is the average where one is kept."""
        outcome = super().train(*arguments, **named)
        if self._average is not None:
            self._average.settle()
            self._average = None  # what joins the network afterwards is in no average
        return outcome

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        super()._load_from_checkpoint(resume_from_checkpoint, model)
        if self._average is not None:
            self._average.read(Path(resume_from_checkpoint))

    def _load_best_model(self) -> None:
        super()._load_best_model()
        if self._average is not None:
            self._average.read(Path(str(self.state.best_model_checkpoint)))

    def evaluate(self, *arguments: Any, **named: Any) -> dict[str, float]:
        """The same, without using up random numbers: how often one evaluates does not change what is learnt."""
        devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
        averaged = nullcontext() if self._average is None else self._average.in_place()
        with torch.random.fork_rng(devices), averaged:
            return super().evaluate(*arguments, **named)

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:  # noqa: ARG002 - Trainer's signature
        states = gather_object([_random_state()])  # this and the next line involve all processes
        self.store_flos()
        if self.args.should_save:
            best = self._best_kept()
            with self._checkpoints.writing(self.state.global_step, best) as folder:
                self._write(folder, states, best)
        self.accelerator.wait_for_everyone()

    def _best_kept(self) -> int | None:
        """The best step, if it has a checkpoint: an evaluation may fall where none is kept."""
        best = self.state.best_global_step
        return best if best and (best == self.state.global_step or self._checkpoints.path(best).exists()) else None

    def _write(self, folder: Path, states: list[dict[str, Any]], best: int | None) -> None:
        assert self.model is not None
        weights = {name: tensor.contiguous() for name, tensor in self.model.state_dict().items()}
        save_file(weights, folder / SAFE_WEIGHTS_NAME)
        if self._average is not None:
            self._average.write(folder)
        self._save_optimizer_and_scheduler(str(folder))
        self._save_scaler(str(folder))
        for rank, state in enumerate(states):  # the names under which Trainer looks for them
            torch.save(state, folder / ("rng_state.pth" if len(states) == 1 else f"rng_state_{rank}.pth"))
        self.state.best_model_checkpoint = None if best is None else str(self._checkpoints.path(best))
        self.state.save_to_json(str(folder / TRAINER_STATE_NAME))


class _SetEpoch(TrainerCallback):
    def __init__(self, told: Sequence[ByEpoch]) -> None:
        self._told = told

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        for each in self._told:
            each.epoch = int(state.epoch)


def _random_state() -> dict[str, Any]:
    state = {"python": random.getstate(), "numpy": np.random.get_state(), "cpu": torch.get_rng_state()}  # noqa: NPY002
    if torch.cuda.is_available():
        several = torch.distributed.is_initialized()
        state["cuda"] = torch.cuda.get_rng_state_all() if several else torch.cuda.get_rng_state()
    return state
