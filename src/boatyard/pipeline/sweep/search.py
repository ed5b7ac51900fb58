"""The search: trials are ordinary training runs; Optuna proposes them, prunes them and remembers them in SQLite."""

import logging
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import optuna
from filelock import FileLock, Timeout
from optuna.trial import Trial, TrialState
from transformers import TrainerCallback

from boatyard.config.compose import load_config
from boatyard.config.errors import UserError
from boatyard.config.processes import several
from boatyard.config.schema import Choices, Config, Range, Sweep
from boatyard.data.encode import encode
from boatyard.data.prepare import Prepared, prepare
from boatyard.pipeline.sweep.report import write_sweep_report
from boatyard.pipeline.sweep.space import assigned
from boatyard.storage.fingerprint import fingerprint
from boatyard.storage.folders import locked
from boatyard.train.fit import train
from boatyard.train.metric import Metric, metric
from boatyard.train.trained import run_folder

log = logging.getLogger(__name__)

_STARTUP_TRIALS = 4  # before their median decides which others to prune
_ATTEMPTS = 3  # at a trial that ends its process, such as for lack of memory


def search(config: Config, sweep: Sweep, overrides: Sequence[str]) -> optuna.Study:
    """Run trials until there are `sweep.trials` in all, then report.

    Raises:
        UserError: the fixed settings clash, or no trial came to its end.
    """
    if several():
        raise UserError("a trial is trained by one process: start the sweep several times, and not under torchrun")
    searched = metric(config.data.task, sweep.metric, "sweep.metric")
    folder = Path(config.paths.runs, config.data.name, "sweeps")
    folder.mkdir(parents=True, exist_ok=True)
    study = _open_study(config, prepare(config), sweep, searched, folder)
    while True:
        with _claimed(study, config, sweep, folder) as trial:
            if trial is None:
                break
            log.info("sweep: trial %d of %d: %s", trial.number + 1, sweep.trials, trial.params)
            _run(study, trial, searched, overrides)
    if {trial.state for trial in study.trials} <= {TrialState.PRUNED, TrialState.FAIL}:
        raise UserError(f"none of the {sweep.trials} trials came to its end: narrow the ranges of sweep={sweep.name}")
    report = Path(config.paths.reports, "sweeps", config.data.name, sweep.name)
    with locked(report):
        write_sweep_report(report, study, sweep, searched, overrides)
    return study


def _open_study(config: Config, prepared: Prepared, sweep: Sweep, searched: Metric, folder: Path) -> optuna.Study:
    """The study of this search and no other: with another space, rows or fixed setting it is another study."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    settings = config.model_dump(include={"data", "model", "train"}, exclude={"train": {"resume"}})
    key = fingerprint({**settings, "rows": prepared.fingerprint, "space": sweep.model_dump(exclude={"trials"})})
    with FileLock(folder / f".{sweep.name}.lock"):  # two processes must not both create the tables
        storage = optuna.storages.RDBStorage(
            f"sqlite:///{folder / sweep.name}.db", engine_kwargs={"connect_args": {"timeout": 60}}
        )
        study = optuna.create_study(study_name=key, storage=storage, direction=searched.direction, load_if_exists=True)
    study.pruner = optuna.pruners.MedianPruner(_STARTUP_TRIALS, n_warmup_steps=sweep.warmup)
    return study


@contextmanager
def _claimed(study: optuna.Study, config: Config, sweep: Sweep, folder: Path) -> Iterator[Trial | None]:
    """A trial for this process alone; None once all have begun.

    Its lock is released when the process ends, however it ends: so the trial of a killed process is known, and
    proposed again.
    """
    with ExitStack() as held:
        with FileLock(folder / f".{sweep.name}.lock"):
            _retry_lost(study, folder)
            states = (TrialState.RUNNING, TrialState.COMPLETE, TrialState.PRUNED)
            trial = None
            if len(study.get_trials(deepcopy=False, states=states)) < sweep.trials:
                # a seed for each: processes that begin together must not propose the same
                study.sampler = optuna.samplers.TPESampler(seed=config.train.seed + len(study.trials))
                trial = study.ask()
                for key, values in sweep.space.items():
                    _suggest(trial, key, values)
                held.enter_context(FileLock(_lock(study, folder, trial.number)))
        yield trial


def _retry_lost(study: optuna.Study, folder: Path) -> None:
    for left in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if _is_held(_lock(study, folder, left.number)):
            continue
        study.tell(left.number, state=TrialState.FAIL)
        failed = [trial.params for trial in study.get_trials(deepcopy=False, states=(TrialState.FAIL,))]
        if failed.count(left.params) < _ATTEMPTS:
            study.enqueue_trial(left.params)


def _run(study: optuna.Study, trial: Trial, searched: Metric, overrides: Sequence[str]) -> None:
    # no copies of checkpoints elsewhere: they end with the trial
    config = load_config([*overrides, *assigned(trial.params), "paths.checkpoints=null"])
    prepared = prepare(config)
    encoded = encode(config, prepared)
    run = run_folder(config, encoded)
    report = _Report(trial, searched.name)
    with locked(run):  # another process may have drawn the same values: the second reuses its training
        try:
            trained = train(config, prepared, encoded, callbacks=[report])
        except (optuna.TrialPruned, UserError) as end:
            if isinstance(end, UserError) and not report.training:
                raise  # the settings conflict, or credentials are missing: all other trials would fail too
            shutil.rmtree(run, ignore_errors=True)  # many trials would fill the disk
            study.tell(trial, state=TrialState.PRUNED)
            log.info("sweep: trial %d is given up%s", trial.number + 1, f": {end}" if str(end) else "")
        else:
            shutil.rmtree(run / "checkpoints", ignore_errors=True)
            study.tell(trial, trained.metrics["validation"][searched.name])


def _suggest(trial: Trial, key: str, values: Range | Choices) -> Any:
    if isinstance(values, Choices):
        return trial.suggest_categorical(key, values.choices)
    if values.whole:
        return trial.suggest_int(key, int(values.low), int(values.high), step=int(values.step or 1), log=values.log)
    return trial.suggest_float(key, values.low, values.high, step=values.step, log=values.log)


class _Report(TrainerCallback):
    """Reports each validation to the trial, and raises TrialPruned where it is not worth going on."""

    def __init__(self, trial: Trial, metric: str) -> None:
        self.training = False
        self._trial = trial
        self._metric = f"eval_{metric}"

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        self.training = True

    def on_evaluate(self, args: Any, state: Any, control: Any, **event: Any) -> None:  # noqa: ARG002
        step = len([entry for entry in state.log_history if self._metric in entry])
        self._trial.report(event["metrics"][self._metric], step)
        if self._trial.should_prune() and state.global_step < state.max_steps:
            raise optuna.TrialPruned


def _lock(study: optuna.Study, folder: Path, number: int) -> Path:
    return folder / f".{study.study_name}-{number}.lock"


def _is_held(lock: Path) -> bool:
    try:
        with FileLock(lock, timeout=0):
            return False
    except Timeout:
        return True
