"""Prepared rows to a fitted network."""

import json
import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import f1_score
from transformers import EvalPrediction, ProgressCallback, Trainer, TrainingArguments

from boatyard.config import Config
from boatyard.data.encode import Encoded
from boatyard.data.prepare import Prepared
from boatyard.errors import UserError
from boatyard.fingerprint import fingerprint
from boatyard.folders import replacing
from boatyard.kinds import training
from boatyard.model import new_network
from boatyard.tracking import record, tracked

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Trained:
    """A fitted network. `folder` holds weights, shape and tokenizer; `run` is the folder around it."""

    run: Path
    folder: Path
    metrics: dict[str, Any]


def train(config: Config, prepared: Prepared, encoded: Encoded) -> Trained:
    """Fit the network, unless just this was fitted already."""
    run = run_folder(config, encoded)
    network = run / "network"
    if network.exists():
        log.info("train: done already (%s)", run)
    else:
        with tracked(config, "train"):
            record({"data_fingerprint": prepared.fingerprint, "run": run.name})
            with replacing(network) as staging:
                _fit(config, prepared, encoded, run, staging)
    return open_trained(config, encoded)


def open_trained(config: Config, encoded: Encoded) -> Trained:
    """What `train` left behind for this configuration.

    Raises:
        UserError: it was not trained yet.
    """
    run = run_folder(config, encoded)
    facts = run / "network" / "training.json"
    if not facts.exists():
        raise UserError("nothing is trained for this configuration yet: run boatyard.train with the same overrides")
    return Trained(run, run / "network", json.loads(facts.read_text(encoding="utf-8")))


def run_folder(config: Config, encoded: Encoded) -> Path:
    """Where this configuration's run lies, made yet or not."""
    kind = f"boatyard.kinds.{config.data.kind}"
    key = fingerprint(
        {
            "inputs": encoded.fingerprint,
            "model": config.model.model_dump(),
            "train": config.train.model_dump(),
        },
        code=("boatyard.train", "boatyard.model", f"{kind}.network", f"{kind}.training"),
    )
    return Path(config.paths.runs, config.data.name, key)


def training_arguments(config: Config, output: Path) -> TrainingArguments:
    """The `train` group as transformers takes it.

    Raises:
        UserError: transformers refuses the combination.
    """
    keys = config.train.model_dump()
    if keys["warmup_steps"] >= 1:
        keys["warmup_steps"] = int(keys["warmup_steps"])
    try:
        return TrainingArguments(
            output_dir=str(output),
            remove_unused_columns=False,
            label_names=["labels"],
            report_to="none" if config.tracking.mode == "disabled" else "wandb",
            **keys,
        )
    except (ValueError, ImportError, OSError) as error:
        raise UserError(f"train: {str(error).splitlines()[0]}") from None


def _fit(config: Config, prepared: Prepared, encoded: Encoded, run: Path, folder: Path) -> None:
    network = new_network(config, len(prepared.labels), encoded)
    size = sum(parameter.numel() for parameter in network.parameters())
    rows = len(encoded.splits["train"])
    log.info("train: %.2f M parameters on %d rows", size / 1e6, rows)
    trainer = Trainer(
        model=network,
        args=training_arguments(config, run / "checkpoints"),
        train_dataset=encoded.splits["train"],
        eval_dataset=encoded.splits["validation"],
        data_collator=training(config.data.kind).Inputs(encoded.folder).collate,
        compute_metrics=_scores,
    )
    trainer.remove_callback(ProgressCallback)
    trainer.add_callback(_ProgressBar)
    started = time.monotonic()
    trainer.train()
    seconds = time.monotonic() - started
    scores = {name.removeprefix("eval_"): value for name, value in trainer.evaluate().items()}
    network.save(folder)
    for file in encoded.folder.glob("*.json"):
        (folder / file.name).write_bytes(file.read_bytes())
    facts = {
        "validation": {name: scores[name] for name in ("accuracy", "macro_f1", "loss")},
        "parameters": size,
        "train_rows": rows,
        "steps": trainer.state.global_step,
        "seconds": round(seconds, 1),
    }
    (folder / "training.json").write_text(json.dumps(facts, indent=2), encoding="utf-8")
    log.info("train: validation accuracy %.4f after %.0f s", scores["accuracy"], seconds)


def _scores(evaluated: EvalPrediction) -> dict[str, float]:
    predicted = np.argmax(evaluated.predictions, axis=-1)
    truth = np.asarray(evaluated.label_ids)
    return {
        "accuracy": float((predicted == truth).mean()),
        "macro_f1": float(f1_score(truth, predicted, average="macro", zero_division=0)),
    }


class _ProgressBar(ProgressCallback):
    """One bar that carries the newest figures, where transformers' own prints a line for each."""

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:  # noqa: ARG002
        if self.training_bar is not None and logs:
            names = {"loss": "loss", "eval_accuracy": "accuracy", "epoch": "epoch"}
            new = {names[name]: f"{value:.3g}" for name, value in logs.items() if name in names}
            self._figures = getattr(self, "_figures", {}) | new
            self.training_bar.set_postfix(self._figures, refresh=False)
