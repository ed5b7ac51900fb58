"""A bundle's losses on a data set's rows, including the few that are too large for a server."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from boatyard import tasks
from boatyard.bundle.manifest import Card
from boatyard.bundle.predict import Predictor
from boatyard.config.schema import Config
from boatyard.data.prepare import Prepared
from boatyard.tasks.protocol import Truth
from boatyard.tasks.score import Losses, Score


def losses_on(predictor: Predictor, rows: Sequence[Any], truths: Sequence[Truth]) -> Losses:
    """The loss of its answer to each row."""
    answers = predictor.answer(rows)
    return np.array(
        [predictor.task.loss(one.answer, truth) for one, truth in zip(answers, truths, strict=True)], np.float64
    )


def truths_of(config: Config, prepared: Prepared, split: str) -> list[Truth]:
    """What feedback would say of each row of the split."""
    truth = tasks.training(config.data.task).truth
    return [truth(stored, prepared.target) for stored in prepared.targets(split)]


def served_score(predictor: Predictor, config: Config, prepared: Prepared, split: str) -> Score:
    """The primary score on the split's rows."""
    losses = losses_on(predictor, prepared.rows(split), truths_of(config, prepared, split))
    return predictor.task.score(losses)


def mismatch(card: Card, config: Config, prepared: Prepared) -> str | None:
    """Why the model cannot be asked the prepared rows, as the end of a sentence; None where it can."""
    if (card.input, card.task) != (config.data.input, config.data.task):
        return f"takes {card.input} for {card.task}, and the rows are {config.data.input} for {config.data.task}"
    if (takes := [*card.request_schema.get("properties", {})]) != prepared.fields:
        return f"takes {takes}, and the rows have {prepared.fields}"
    return None


def difference(card: Card, other: Card) -> str | None:
    """Why the models' losses cannot be compared, with the one as the subject; None where they can."""
    if (card.input, card.request_schema) != (other.input, other.request_schema):
        return "takes other input"
    if (card.task, card.truth_schema) != (other.task, other.truth_schema):
        return "answers another question"
    return None
