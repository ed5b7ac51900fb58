"""A configuration and encoded rows to the Trainer that fits them."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from transformers import EvalPrediction, ProgressCallback, TrainerCallback

from boatyard import inputs, tasks
from boatyard.config.schema import Config
from boatyard.data.encode import Encoded
from boatyard.data.prepare import Prepared
from boatyard.inputs.training_protocol import ROW, SOURCE, TARGET, Encoder, Vary
from boatyard.model import Network, new_network
from boatyard.tasks.protocol import TrainingTask
from boatyard.train.arguments import training_arguments
from boatyard.train.checkpoints import Checkpoints
from boatyard.train.metric import LOSS, primary
from boatyard.train.trainer import POSITION, SteadyTrainer


def build_trainer(
    config: Config,
    prepared: Prepared,
    encoded: Encoded,
    checkpoints: Checkpoints,
    *,
    network: Network | None = None,
    callbacks: Sequence[TrainerCallback] = (),
) -> SteadyTrainer:
    """A network, an untrained one unless it is given, and what trains and validates it."""
    arguments = training_arguments(config, checkpoints.folder)
    task = tasks.training(config.data.task)
    input_, rows = inputs.training(config.data.input), encoded.splits["train"]
    vary = input_.open_variation(config.train, prepared.data, prepared.target)
    batches = Batches(input_.open_encoder(encoded.folder), task.tensor, vary, config.train.seed)
    trainer = SteadyTrainer(
        model=network or new_network(config, prepared.target, encoded),
        args=arguments,
        train_dataset=rows.add_column(POSITION, np.arange(len(rows))),
        eval_dataset=encoded.splits["validation"],
        data_collator=batches,
        compute_metrics=partial(_validation_scores, task),
        callbacks=[*callbacks],
        checkpoints=checkpoints,
        describe_rows=partial(_describe_rows, prepared),
        layer_decay=config.train.layer_decay,
        r_drop=config.train.r_drop,
        average=config.train.average,
        by_epoch=batches,
    )
    trainer.remove_callback(ProgressCallback)
    trainer.add_callback(_ProgressBar(primary(config.data.task).name))
    return trainer


class Batches:
    """The input's batches with the task's targets, and with the rows' places in the split where the rows have such.

    Those that have are training rows, which the input may `vary`: by the seed, the epoch and the batch alone.
    """

    def __init__(
        self, encoder: Encoder, tensor: Callable[[Sequence[Any]], torch.Tensor], vary: Vary | None, seed: int
    ) -> None:
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()  # type: ignore[no-untyped-call]  # with workers that outlive an epoch
        self._encoder = encoder
        self._tensor = tensor
        self._vary = vary
        self._seed = seed

    @property
    def epoch(self) -> int:
        """The one that the batches are of, in whatever process they are made."""
        return int(self._epoch)

    @epoch.setter
    def epoch(self, epoch: int) -> None:
        self._epoch.fill_(epoch)

    def __call__(self, items: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        """One batch."""
        places = [item[POSITION] for item in items if POSITION in item]
        if places and self._vary is not None:
            items = self._vary(items, np.random.default_rng([self._seed, self.epoch, *places]))
        batch = {**self._encoder.collate(items), "labels": self._tensor([item[TARGET] for item in items])}
        if places:
            batch[POSITION] = torch.as_tensor(places)
        return batch


def _validation_scores(task: TrainingTask, evaluated: EvalPrediction) -> dict[str, float]:
    raw = evaluated.predictions
    first = raw[0] if isinstance(raw, tuple) else raw  # Trainer unpacks a single one
    return task.validation_scores(np.asarray(first), np.asarray(evaluated.label_ids))


def _describe_rows(prepared: Prepared, positions: Sequence[int]) -> str:
    rows = prepared.splits["train"].select(positions)
    return ", ".join(f"{source}:{row}" for source, row in zip(rows[SOURCE], rows[ROW], strict=True))


class _ProgressBar(ProgressCallback):
    """One bar with the newest figures, where transformers' own prints a line for each."""

    def __init__(self, score: str) -> None:
        super().__init__()
        self._names = {"loss": LOSS, f"eval_{score}": score.replace("_", " "), "epoch": "epoch"}
        self._figures: dict[str, str] = {}

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:  # noqa: ARG002
        if self.training_bar is not None and logs:
            names = self._names
            self._figures |= {names[name]: f"{value:.3g}" for name, value in logs.items() if name in names}
            self.training_bar.set_postfix(self._figures, refresh=False)
