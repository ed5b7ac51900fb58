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
from boatyard.inputs.protocol import ROW, SOURCE, TARGET, Encoder
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
    rows = encoded.splits["train"]
    trainer = SteadyTrainer(
        model=network or new_network(config, prepared.target, encoded),
        args=arguments,
        train_dataset=rows.add_column(POSITION, np.arange(len(rows))),
        eval_dataset=encoded.splits["validation"],
        data_collator=_Batches(inputs.training(config.data.input).open_encoder(encoded.folder), task.tensor),
        compute_metrics=partial(_validation_scores, task),
        callbacks=[*callbacks],
        checkpoints=checkpoints,
        describe_rows=partial(_describe_rows, prepared),
        layer_decay=config.train.layer_decay,
        r_drop=config.train.r_drop,
    )
    trainer.remove_callback(ProgressCallback)
    trainer.add_callback(_ProgressBar(primary(config.data.task).name))
    return trainer


class _Batches:
    """The input's batches with the task's targets, and with the rows' places in the split where the rows have such."""

    def __init__(self, encoder: Encoder, tensor: Callable[[Sequence[Any]], torch.Tensor]) -> None:
        self._encoder = encoder
        self._tensor = tensor

    def __call__(self, items: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        batch = {**self._encoder.collate(items), "labels": self._tensor([item[TARGET] for item in items])}
        if POSITION in items[0]:
            batch[POSITION] = torch.as_tensor([item[POSITION] for item in items])
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
