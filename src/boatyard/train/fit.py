"""Prepared rows to a fitted network."""

import json
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from accelerate import PartialState
from accelerate.utils import broadcast_object_list
from filelock import FileLock, Timeout
from sklearn.metrics import f1_score
from transformers import EvalPrediction, ProgressCallback, TrainerCallback, TrainingArguments

from boatyard.config.errors import Stopped, UserError
from boatyard.config.processes import is_first_here, is_main, several
from boatyard.config.schema import Config
from boatyard.data.encode import Encoded
from boatyard.data.prepare import Prepared
from boatyard.inputs import training
from boatyard.inputs.protocol import Inputs
from boatyard.model import new_network
from boatyard.storage import open_storage
from boatyard.storage.folders import replacing
from boatyard.train.checkpoints import Checkpoints, Mirror
from boatyard.train.head import start_at_centroids
from boatyard.train.stopping import StopOnSignal
from boatyard.train.tracking import record, tracked
from boatyard.train.trained import Trained, open_trained, run_folder
from boatyard.train.trainer import POSITION, SteadyTrainer

log = logging.getLogger(__name__)


def train(config: Config, prepared: Prepared, encoded: Encoded, callbacks: Sequence[TrainerCallback] = ()) -> Trained:
    """Fit the network, unless just this was fitted already; go on where an earlier process was stopped.

    Under torchrun every process calls this, and the first one writes: the others, which may run on other machines,
    have no metrics.

    Raises:
        Stopped: on a signal that ends processes, once a checkpoint is kept.
        UserError: the settings clash, the loss is no number, or a checkpoint cannot be written.
    """
    run = run_folder(config, encoded)
    network = run / "network"
    if network.exists():
        log.info("train: done already (%s)", run)
    else:
        with _named_loss_of_a_process():
            if is_main():
                with _locked(run), tracked(config, "train"):
                    record({"data_fingerprint": prepared.fingerprint, "run": run.name})
                    with replacing(network) as staging:
                        _fit(config, prepared, encoded, run, staging, callbacks)
            else:
                _fit(config, prepared, encoded, run, None, callbacks)
            PartialState().wait_for_everyone()
    if not is_main():
        return Trained(run, network, {})
    return open_trained(config, encoded)


def training_arguments(config: Config, output: Path) -> TrainingArguments:
    """The `train` group as transformers takes it.

    Raises:
        UserError: transformers refuses the combination.
    """
    keys = config.train.model_dump(exclude=set(config.train.OWN))
    if keys["warmup_steps"] >= 1:
        keys["warmup_steps"] = int(keys["warmup_steps"])
    keys["use_cpu"] |= not torch.accelerator.is_available()  # torchrun's processes do not find out by themselves
    _check_precision(keys)
    try:
        return TrainingArguments(
            output_dir=str(output),
            remove_unused_columns=False,
            label_names=["labels"],
            ddp_find_unused_parameters=False,
            logging_nan_inf_filter=False,  # such a loss ends the run
            report_to="none" if config.tracking.mode == "disabled" else "wandb",
            **keys,
        )
    except (ValueError, ImportError, OSError) as error:
        raise UserError(f"train: {str(error).splitlines()[0]}") from None


def _fit(
    config: Config,
    prepared: Prepared,
    encoded: Encoded,
    run: Path,
    folder: Path | None,
    callbacks: Sequence[TrainerCallback],
) -> None:
    """Train; where `folder` is given, write the network there."""
    checkpoints = _open_checkpoints(config, run)
    stop = StopOnSignal()
    trainer = build_trainer(config, prepared, encoded, checkpoints, callbacks=[stop, *callbacks])
    network, rows = cast(Any, trainer.model), encoded.splits["train"]
    size = sum(parameter.numel() for parameter in network.parameters())
    log.info("train: %.2f M parameters on %d rows", size / 1e6, len(rows))
    started = time.monotonic()
    resumed = _resumed(config, checkpoints)
    if resumed is None and config.model.head == "centroids":
        start_at_centroids(network, rows, training(config.data.kind).Inputs(encoded.folder).collate)
    with stop:
        trainer.train(resume_from_checkpoint=resumed)
    seconds = time.monotonic() - started
    checkpoints.finish()
    if several() and config.train.load_best_model_at_end:  # which lies on the first one's disk
        for tensor in network.state_dict().values():
            torch.distributed.broadcast(tensor, src=0)
    if stop.received:
        kept = f"Step {trainer.state.global_step} of {trainer.state.max_steps} is kept in {checkpoints.folder}"
        raise Stopped(stop.received, f"{kept}; the same command goes on from there")
    scores = {name.removeprefix("eval_"): value for name, value in trainer.evaluate().items()}
    if folder is None:
        return
    network.save(folder)
    for file in encoded.folder.glob("*.json"):
        (folder / file.name).write_bytes(file.read_bytes())
    facts = {
        "validation": {name: scores[name] for name in ("accuracy", "macro_f1", "loss")},
        "parameters": size,
        "train_rows": len(rows),
        "steps": trainer.state.global_step,
        "seconds": round(seconds, 1),
    }
    (folder / "training.json").write_text(json.dumps(facts, indent=2), encoding="utf-8")
    log.info("train: validation accuracy %.4f after %.0f s", scores["accuracy"], seconds)


def build_trainer(
    config: Config,
    prepared: Prepared,
    encoded: Encoded,
    checkpoints: Checkpoints,
    *,
    callbacks: Sequence[TrainerCallback] = (),
) -> SteadyTrainer:
    """An untrained network and what trains it."""
    arguments = training_arguments(config, checkpoints.folder)
    rows = encoded.splits["train"]
    trainer = SteadyTrainer(
        model=new_network(config, len(prepared.labels), encoded),
        args=arguments,
        train_dataset=rows.add_column(POSITION, np.arange(len(rows))),
        eval_dataset=encoded.splits["validation"],
        data_collator=_Batches(training(config.data.kind).Inputs(encoded.folder)),
        compute_metrics=_scores,
        callbacks=[*callbacks],
        checkpoints=checkpoints,
        describe_rows=partial(_describe_rows, prepared),
        layer_decay=config.train.layer_decay,
        r_drop=config.train.r_drop,
    )
    trainer.remove_callback(ProgressCallback)
    trainer.add_callback(_ProgressBar)
    return trainer


class _Batches:
    """The kind's batches, each with its rows' places in the split where the rows have such."""

    def __init__(self, inputs: Inputs) -> None:
        self._inputs = inputs

    def __call__(self, items: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        batch = self._inputs.collate(items)
        if POSITION in items[0]:
            batch[POSITION] = torch.as_tensor([item[POSITION] for item in items])
        return batch


def _open_checkpoints(config: Config, run: Path) -> Checkpoints:
    keep, mirror = config.train.save_total_limit, None
    if config.paths.checkpoints is not None:
        mirror = Mirror(open_storage(config.paths.checkpoints), f"{config.data.name}/{run.name}", keep)
    return Checkpoints(run / "checkpoints", keep, mirror)


def _resumed(config: Config, checkpoints: Checkpoints) -> str | None:
    """The checkpoint to go on from, the same for all processes, and on the disk of each."""
    found: list[str | None] = [None]
    if config.train.resume == "never":
        if is_main():
            checkpoints.discard()
    elif is_main() and (newest := checkpoints.newest()) is not None:
        log.info("train: going on from %s", newest)
        found = [newest.name]
    if several():
        broadcast_object_list(found)
        if found[0] is not None and is_first_here() and not is_main():
            checkpoints.bring(found[0])
        PartialState().wait_for_everyone()
    return None if found[0] is None else str(checkpoints.folder / found[0])


@contextmanager
def _locked(run: Path) -> Iterator[None]:
    """Two processes must not train one run; the lock goes with its process, however that ends."""
    run.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(run / ".lock", timeout=0):
            yield
    except Timeout:
        raise UserError(f"another process is training {run} right now: let it end, or change a setting") from None


@contextmanager
def _named_loss_of_a_process() -> Iterator[None]:
    """What a process hears of another's end is some broken connection."""
    try:
        yield
    except RuntimeError as error:
        if not several():
            raise
        reason = str(error).splitlines()[0]
        raise UserError(
            f"another process of this run ended, or could not be reached ({reason}): what it said last tells why; the "
            "same command goes on from the newest checkpoint, and by itself under torchrun --max-restarts=N"
        ) from error


def _describe_rows(prepared: Prepared, positions: Sequence[int]) -> str:
    rows = prepared.splits["train"].select(positions)
    return ", ".join(f"{source}:{row}" for source, row in zip(rows["source"], rows["row"], strict=True))


def _check_precision(keys: Mapping[str, Any]) -> None:
    if not keys["use_cpu"]:
        return
    if keys.get("fp16"):
        raise UserError("train.fp16=true: half precision trains on a GPU only, and there is none here")
    if keys.get("bf16") and not _multiplies_bf16():
        raise UserError(
            "train.bf16=true: this processor multiplies no bf16 (AMX), so bf16 would be several times slower than "
            "fp32; leave it false here"
        )


def _multiplies_bf16() -> bool:
    facts = Path("/proc/cpuinfo")
    return facts.exists() and "amx_bf16" in facts.read_text(encoding="utf-8")


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
