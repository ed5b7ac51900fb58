"""The simple model that a network is compared with, for every input and task."""

import logging
from collections.abc import Sequence
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from boatyard import inputs, tasks
from boatyard.config.schema import Config
from boatyard.data.prepare import Prepared
from boatyard.evaluate.compared import Compared, how_many, why_not
from boatyard.inputs.training_protocol import SimpleFeatures
from boatyard.tasks.protocol import Estimator, TrainingTask
from boatyard.tasks.score import Scores

log = logging.getLogger(__name__)


def score_baseline(config: Config, prepared: Prepared, split: str) -> Compared:
    """Fit it on training rows and score it on the split; if that fails, the evaluation goes on."""
    started = perf_counter()
    try:
        return _fitted(config, prepared, split)
    except Exception as error:  # MemoryError above all
        return _constant(config, prepared, split, why_not(error), perf_counter() - started)


def score_by_chance(config: Config, prepared: Prepared, split: str) -> Scores | None:
    """What the baseline reaches where rows are split by chance, which relatives are not kept from.

    As many rows are learnt from and tested. None where it cannot be fitted.
    """
    parts = {part: (prepared.rows(part), prepared.targets(part)) for part in ("train", split)}
    rows = [row for of_part, _ in parts.values() for row in of_part]
    targets = np.concatenate([of_part for _, of_part in parts.values()])
    order = np.random.default_rng(config.train.seed).permutation(len(rows))
    learnt, tested = np.split(order, [len(parts["train"][0])])
    try:
        estimator, _ = _fit(config, prepared, [rows[row] for row in learnt], targets[learnt])
    except Exception:  # as above, where it is said
        return None
    outputs = estimator.outputs([rows[row] for row in tested])
    return tasks.training(config.data.task).score(outputs, targets[tested], prepared.target, config)


def _fitted(config: Config, prepared: Prepared, split: str) -> Compared:
    started = perf_counter()
    rows, targets = prepared.rows("train"), prepared.targets("train")
    estimator, fitted_on = _fit(config, prepared, rows, targets)
    seconds = perf_counter() - started
    description = f"{estimator.description}, fitted on {how_many(fitted_on, len(rows))}"
    return Compared(estimator.name, description, fitted_on, seconds, _score(config, prepared, split, estimator))


def _fit(config: Config, prepared: Prepared, rows: Sequence[Any], targets: NDArray[Any]) -> tuple[Estimator, int]:
    """The estimator, and on how many of the rows it was fitted."""
    task, simple = tasks.training(config.data.task), inputs.training(config.data.input).simple_features(prepared.data)
    chosen = _sample(task, simple, rows, targets, config.train.seed)
    sampled = [rows[row] for row in chosen]
    return task.fit_baseline(simple, sampled, targets[chosen], prepared.target, config.train.seed), len(chosen)


def _sample(
    task: TrainingTask, simple: SimpleFeatures, rows: Sequence[Any], targets: NDArray[Any], seed: int
) -> NDArray[np.int64]:
    """Row numbers: every row if the features' limits allow."""
    size = min(len(rows), simple.most_rows, simple.most_cost * len(rows) // max(simple.cost(rows), 1))
    return task.sample(targets, np.random.default_rng(seed), size)


def _constant(config: Config, prepared: Prepared, split: str, why: str, seconds: float) -> Compared:
    targets = prepared.targets("train")
    estimator = tasks.training(config.data.task).fallback(targets, prepared.target)
    log.warning("evaluate: the baseline could not be fitted (%s); %s takes its place", why, estimator.description)
    description = f"{estimator.description}, as no other could be fitted ({why})"
    return Compared(estimator.name, description, len(targets), seconds, _score(config, prepared, split, estimator))


def _score(config: Config, prepared: Prepared, split: str, estimator: Estimator) -> Scores:
    outputs, targets = estimator.outputs(prepared.rows(split)), prepared.targets(split)
    return tasks.training(config.data.task).score(outputs, targets, prepared.target, config)
