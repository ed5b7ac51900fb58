"""Prepared rows to a fitted network."""

import json
import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import broadcast_object_list
from filelock import FileLock, Timeout
from transformers import TrainerCallback

from boatyard import tasks
from boatyard.config.errors import Stopped, UserError
from boatyard.config.processes import is_first_here, is_main, several
from boatyard.config.schema import Config
from boatyard.data.encode import Encoded
from boatyard.data.prepare import Prepared
from boatyard.inputs.training_protocol import TARGET
from boatyard.model import Network, backbone_features, fit_network, save_network, widen_network
from boatyard.storage import open_storage
from boatyard.storage.folders import replacing
from boatyard.tasks.score import shown
from boatyard.train.assembly import build_trainer
from boatyard.train.checkpoints import Checkpoints, Mirror
from boatyard.train.metric import LOSS, primary
from boatyard.train.stopping import StopOnSignal
from boatyard.train.tracking import record, tracked
from boatyard.train.trained import Trained, open_trained, run_folder
from boatyard.train.trainer import SteadyTrainer

log = logging.getLogger(__name__)

_NOT_OF_THE_ENCODER = {".arrow", ""}  # the encoded rows, and their fingerprint


@dataclass(frozen=True)
class _Fitted:
    network: Network
    facts: dict[str, Any]
    """What `training.json` holds."""


def train(config: Config, prepared: Prepared, encoded: Encoded, callbacks: Sequence[TrainerCallback] = ()) -> Trained:
    """Fit the network, unless it is fitted already; resume where an earlier process stopped.

    Under torchrun every process calls this, and only the main one writes: the others, which may run on other
    machines, return no metrics.

    Raises:
        Stopped: on a signal that ends processes, once a checkpoint is kept.
        UserError: the settings clash, the loss is no number, or a checkpoint cannot be written.
    """
    run = run_folder(config, encoded)
    folder = run / "network"
    if folder.exists():
        log.info("train: done already (%s)", run)
    else:
        with _explaining_broken_connections():
            with _recording(config, prepared, run):
                fitted = _fit(config, prepared, encoded, run, callbacks)
                if is_main():
                    _write(encoded, fitted, folder)
            PartialState().wait_for_everyone()
    if not is_main():
        return Trained(run, folder, {})
    return open_trained(config, encoded)


@contextmanager
def _explaining_broken_connections() -> Iterator[None]:
    """When one process dies, the others see only a broken connection."""
    try:
        yield
    except RuntimeError as error:
        if not several():
            raise
        reason = str(error).splitlines()[0]
        raise UserError(
            f"another process of this run ended, or could not be reached ({reason}): its own last message says why; "
            "the same command goes on from the newest checkpoint, and by itself under torchrun --max-restarts=N"
        ) from error


@contextmanager
def _recording(config: Config, prepared: Prepared, run: Path) -> Iterator[None]:
    """In the main process: hold the run's lock, and track it."""
    if not is_main():
        yield
        return
    with _locked(run), tracked(config, "train", run):
        record({"data_fingerprint": prepared.fingerprint, "run": run.name})
        yield


@contextmanager
def _locked(run: Path) -> Iterator[None]:
    """Two processes must not train one run; the lock is released when its process ends, however it ends."""
    run.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(run / ".lock", timeout=0):
            yield
    except Timeout:
        raise UserError(f"another process is training {run} right now: let it end, or change a setting") from None


def _fit(
    config: Config, prepared: Prepared, encoded: Encoded, run: Path, callbacks: Sequence[TrainerCallback]
) -> _Fitted:
    checkpoints, stop = _open_checkpoints(config, run), StopOnSignal()
    started = time.monotonic()
    fitted = fit_network(config, prepared.target, encoded)
    seconds = time.monotonic() - started
    trainer = build_trainer(config, prepared, encoded, checkpoints, network=fitted, callbacks=[stop, *callbacks])
    network, rows = trainer.network, len(encoded.splits["train"])
    parameters = sum(parameter.numel() for parameter in network.parameters())
    log.info("train: %.2f M parameters on %d rows", parameters / 1e6, rows)
    if fitted is None:
        seconds = _take_steps(config, encoded, trainer, checkpoints, stop)
        widen_network(config, network, prepared.target, encoded)
    scores = _validate(config, trainer)
    score = primary(config.data.task).name
    log.info("train: validation %s %s after %.0f s", score.replace("_", " "), shown(scores[score]), seconds)
    facts = {
        "validation": scores,
        "parameters": parameters,
        "train_rows": rows,
        "steps": trainer.state.global_step,
        "seconds": round(seconds, 1),
    }
    return _Fitted(network, facts)


def _take_steps(
    config: Config, encoded: Encoded, trainer: SteadyTrainer, checkpoints: Checkpoints, stop: StopOnSignal
) -> float:
    """Train the network, from the newest checkpoint if there is one. Returns the seconds that it took."""
    started = time.monotonic()
    checkpoint = _checkpoint_to_resume(config, checkpoints)
    if checkpoint is None and config.model.head == "fitted":
        _start_head(config, trainer.network, encoded)
    with stop:
        trainer.train(resume_from_checkpoint=checkpoint)
    seconds = time.monotonic() - started
    checkpoints.finish()
    if several() and config.train.load_best_model_at_end:
        _share_weights(trainer.network)
    if stop.received:
        kept = f"Step {trainer.state.global_step} of {trainer.state.max_steps} is kept in {checkpoints.folder}"
        raise Stopped(stop.received, f"{kept}; the same command goes on from there")
    return seconds


def _open_checkpoints(config: Config, run: Path) -> Checkpoints:
    keep, mirror = config.train.save_total_limit, None
    if config.paths.checkpoints is not None:
        mirror = Mirror(open_storage(config.paths.checkpoints), f"{config.data.name}/{run.name}", keep)
    return Checkpoints(run / "checkpoints", keep, mirror)


def _checkpoint_to_resume(config: Config, checkpoints: Checkpoints) -> str | None:
    """The same for all processes, and on the disk of each; None to start over."""
    name: str | None = None
    if config.train.resume == "never":
        if is_main():
            checkpoints.discard()
    elif is_main() and (newest := checkpoints.newest()) is not None:
        log.info("train: going on from %s", newest)
        name = newest.name
    if several():
        (name,) = broadcast_object_list([name])
        if name is not None and is_first_here() and not is_main():
            checkpoints.fetch(name)
        PartialState().wait_for_everyone()
    return None if name is None else str(checkpoints.folder / name)


def _start_head(config: Config, network: Network, encoded: Encoded) -> None:
    """Set the head to what fits the features of the untrained backbone."""
    rows = encoded.splits["train"]
    targets = tasks.training(config.data.task).tensor(rows[TARGET][:])
    network.head.start_at(backbone_features(config, network, encoded.folder, rows), targets)


def _share_weights(network: Network) -> None:
    """Give every process the best checkpoint's weights, which lie on the main one's disk."""
    for tensor in network.state_dict().values():
        torch.distributed.broadcast(tensor, src=0)


def _validate(config: Config, trainer: SteadyTrainer) -> dict[str, float]:
    scores = trainer.evaluate()
    return {name: scores[f"eval_{name}"] for name in (*tasks.training(config.data.task).VALIDATION, LOSS)}


def _write(encoded: Encoded, fitted: _Fitted, folder: Path) -> None:
    """The network with what encodes its inputs, and the facts of its training."""
    with replacing(folder) as staging:
        save_network(fitted.network, staging)
        for file in encoded.folder.iterdir():
            if file.suffix not in _NOT_OF_THE_ENCODER:
                (staging / file.name).write_bytes(file.read_bytes())
        (staging / "training.json").write_text(json.dumps(fitted.facts, indent=2), encoding="utf-8")
