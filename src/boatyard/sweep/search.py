"""The search: trials are ordinary training runs; Optuna proposes them, prunes them and remembers them in SQLite."""

import logging
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
from filelock import FileLock, Timeout
from optuna.trial import Trial, TrialState
from transformers import TrainerCallback

from boatyard.config import Choices, Config, Range, Sweep, load_config
from boatyard.data.encode import encode
from boatyard.data.prepare import prepare
from boatyard.errors import UserError
from boatyard.fingerprint import fingerprint
from boatyard.sweep.report import write_sweep_report
from boatyard.train.fit import run_folder, train

log = logging.getLogger(__name__)

_STARTUP_TRIALS = 4  # before their median says what is hopeless


def search(config: Config, sweep: Sweep, overrides: Sequence[str]) -> optuna.Study:
    """Run trials until there are `sweep.trials` in all, then report.

    Raises:
        UserError: a key of the space is none of the configuration's, or a bound is no value for it.
    """
    for key, values in sweep.space.items():
        for value in values.choices if isinstance(values, Choices) else (values.low, values.high):
            load_config([*overrides, f"{key}={value}"])
    folder = Path(config.paths.runs, config.data.name, "sweeps")
    folder.mkdir(parents=True, exist_ok=True)
    study = _open_study(config, sweep, folder)
    while (trial := _next(study, sweep, folder)) is not None:
        with _held(folder, trial.number):
            log.info("sweep: trial %d of %d: %s", trial.number + 1, sweep.trials, trial.params)
            _run(study, trial, sweep, overrides)
    write_sweep_report(Path(config.paths.reports, "sweeps", config.data.name, sweep.name), study, sweep, overrides)
    return study


def _open_study(config: Config, sweep: Sweep, folder: Path) -> optuna.Study:
    """The study of just this search: another space, data set or fixed setting is another study."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    settings = config.model_dump(include={"data", "model", "train"}, exclude={"train": {"resume"}})
    key = fingerprint({**settings, "space": sweep.model_dump(exclude={"trials", "name"})}, code=())
    with FileLock(folder / f".{sweep.name}.lock"):  # two processes must not both make the tables
        storage = optuna.storages.RDBStorage(
            f"sqlite:///{folder / sweep.name}.db", engine_kwargs={"connect_args": {"timeout": 60}}
        )
        study = optuna.create_study(study_name=key, storage=storage, direction=sweep.direction, load_if_exists=True)
    study.sampler = optuna.samplers.TPESampler(seed=config.train.seed + len(study.trials))
    study.pruner = optuna.pruners.MedianPruner(_STARTUP_TRIALS, n_warmup_steps=sweep.warmup)
    return study


def _next(study: optuna.Study, sweep: Sweep, folder: Path) -> Trial | None:
    """A trial to run, or None where the last has been begun. What a killed process left is proposed again."""
    with FileLock(folder / f".{sweep.name}.lock"):
        for left in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if not _is_held(folder, left.number):
                study.tell(left.number, state=TrialState.FAIL)
                study.enqueue_trial(left.params)
        begun = study.get_trials(deepcopy=False, states=(TrialState.RUNNING, TrialState.COMPLETE, TrialState.PRUNED))
        if len(begun) >= sweep.trials:
            return None
        trial = study.ask()
        for key, values in sweep.space.items():
            _suggest(trial, key, values)
        return trial


def _run(study: optuna.Study, trial: Trial, sweep: Sweep, overrides: Sequence[str]) -> None:
    config = load_config([*overrides, *(f"{key}={value}" for key, value in trial.params.items())])
    prepared = prepare(config)
    encoded = encode(config, prepared)
    try:
        trained = train(config, prepared, encoded, callbacks=[_Report(trial, sweep.metric)])
        shutil.rmtree(trained.run / "checkpoints", ignore_errors=True)  # many trials would fill the disk
        study.tell(trial, trained.metrics["validation"][sweep.metric])
    except optuna.TrialPruned:
        shutil.rmtree(run_folder(config, encoded), ignore_errors=True)
        study.tell(trial, state=TrialState.PRUNED)
        log.info("sweep: trial %d is given up", trial.number + 1)
    except UserError as error:  # such as a loss that is no number
        study.tell(trial, state=TrialState.PRUNED)
        log.warning("sweep: trial %d failed: %s", trial.number + 1, error)


def _suggest(trial: Trial, key: str, values: Range | Choices) -> Any:
    if isinstance(values, Choices):
        return trial.suggest_categorical(key, values.choices)
    if values.whole:
        return trial.suggest_int(key, int(values.low), int(values.high), step=int(values.step or 1), log=values.log)
    return trial.suggest_float(key, values.low, values.high, step=values.step, log=values.log)


class _Report(TrainerCallback):
    """Tells the trial how validation goes, and raises TrialPruned where that is hopeless."""

    def __init__(self, trial: Trial, metric: str) -> None:
        self._trial = trial
        self._metric = f"eval_{metric}"

    def on_evaluate(self, args: Any, state: Any, control: Any, **given: Any) -> None:  # noqa: ARG002
        step = len([entry for entry in state.log_history if self._metric in entry])
        self._trial.report(given["metrics"][self._metric], step)
        if self._trial.should_prune() and state.global_step < state.max_steps:
            raise optuna.TrialPruned


@contextmanager
def _held(folder: Path, number: int) -> Iterator[None]:
    """The trial is this process's; the lock goes with the process, however that ends."""
    with FileLock(_lock(folder, number)):
        yield


def _is_held(folder: Path, number: int) -> bool:
    try:
        with FileLock(_lock(folder, number), timeout=0):
            return False
    except Timeout:
        return True


def _lock(folder: Path, number: int) -> Path:
    return folder / f".trial-{number}.lock"
