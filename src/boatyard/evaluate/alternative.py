"""What a trained model is shown beside, besides the baseline: another model that its input names, on the same rows."""

import logging
from dataclasses import replace
from time import perf_counter

import numpy as np

from boatyard import inputs, tasks
from boatyard.config.schema import Config
from boatyard.data.encode import Encoded
from boatyard.data.prepare import Prepared
from boatyard.evaluate.compared import Compared, how_many, why_not
from boatyard.inputs.training_protocol import Alternative
from boatyard.model import fit_network, predict

log = logging.getLogger(__name__)

_AT_ONCE = 1_000  # rows answered


def score_alternative(config: Config, prepared: Prepared, encoded: Encoded, split: str) -> Compared | None:
    """Fit it as `train` would, and score it on the split. None: the input names none, or it could not be fitted."""
    alternative = inputs.training(config.data.input).alternative(config.model)
    if alternative is None:
        return None
    try:
        return _fitted(config, prepared, encoded, split, alternative)
    except Exception as error:  # as with the baseline, the evaluation goes on
        why = why_not(error)
        log.warning("evaluate: %s could not be fitted (%s), and is not shown beside the model", alternative.name, why)
        return None


def _fitted(config: Config, prepared: Prepared, encoded: Encoded, split: str, alternative: Alternative) -> Compared:
    started = perf_counter()
    log.info("evaluate: fitting %s", alternative.name)
    config = config.model_copy(update={"model": alternative.model})
    learnt_from = _sample(encoded, alternative.most_rows, config.train.seed)
    network = fit_network(config, prepared.target, learnt_from)
    if network is None:
        raise ValueError("the input trains it, where it should fit it")
    seconds = perf_counter() - started

    task = tasks.training(config.data.task)
    validation, answers = (
        predict(config, network, encoded.folder, encoded.splits[each], _AT_ONCE) for each in ("validation", split)
    )
    fitted = task.fit_after(validation, prepared.targets("validation"), prepared.target, config)
    scores = task.score(answers, prepared.targets(split), {**prepared.target, **fitted}, config)
    rows = len(learnt_from.splits["train"])
    description = f"{alternative.description}, fitted on {how_many(rows, len(encoded.splits['train']))}"
    return Compared(alternative.name, description, rows, seconds, scores)


def _sample(encoded: Encoded, most: int, seed: int) -> Encoded:
    """Of training and of validation `most` rows at most, each as likely as another."""
    random = np.random.default_rng(seed)
    few = {
        name: rows.select(np.sort(random.permutation(len(rows))[:most]))
        for name, rows in encoded.splits.items()
        if len(rows) > most
    }
    return replace(encoded, splits={**encoded.splits, **few})
