"""Answers with a number and an interval around it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from boatyard.bundle.manifest import BundleError, Card
from boatyard.inputs.protocol import InvalidInput
from boatyard.journal.columns import Column
from boatyard.tasks.one_number import *  # noqa: F403
from boatyard.tasks.protocol import Answer, Outputs, Target, Truth
from boatyard.tasks.score import Losses, Score, mean_score

OUTPUTS = ("value",)
LARGEST = 1e15
"""In magnitude: what training takes, feedback can name."""


class _Facts(BaseModel):
    """Of a target, what an answer needs. `margin`: half the interval's width."""

    model_config = ConfigDict(strict=True)

    margin: FiniteFloat = Field(ge=0)
    buckets: list[FiniteFloat]
    unit: str | None = None


def open_task(card: Card) -> "Regression":
    """By the card's `target`. Raises BundleError."""
    try:
        facts = _Facts.model_validate(card.target)
    except ValidationError as wrong:
        error = wrong.errors()[0]
        where = ".".join(map(str, ("target", *error["loc"])))
        raise BundleError(f"the manifest of {card.name} is wrong at {where}: {error['msg']}") from None
    if sorted(set(facts.buckets)) != facts.buckets:
        raise BundleError(f"the manifest of {card.name} is wrong at target.buckets: they must ascend")
    return Regression(facts.margin, facts.buckets, facts.unit)


def answer_schema(target: Target) -> dict[str, Any]:  # noqa: ARG001 - every task's signature
    """`value`, and `low` to `high`, where the truth lies for nine rows in ten like those of the data set."""
    number = {"type": "number"}
    return {
        "type": "object",
        "properties": {"value": number, "low": number, "high": number, "unit": {"type": ["string", "null"]}},
        "required": ["value", "low", "high", "unit"],
    }


def truth_schema(target: Target) -> dict[str, Any]:  # noqa: ARG001 - every task's signature
    """The right `value`."""
    return {
        "type": "object",
        "properties": {"value": {"type": "number", "minimum": -LARGEST, "maximum": LARGEST}},
        "required": ["value"],
        "additionalProperties": False,
    }


class Regression:
    """The interval and the unit of a bundle."""

    def __init__(self, margin: float, buckets: Sequence[float], unit: str | None) -> None:
        self._margin = margin
        self._unit = unit
        self.columns = (Column("value", "the answer", group="prediction", buckets=buckets),)

    def decode(self, outputs: Outputs, options: BaseModel) -> list[Answer]:  # noqa: ARG002 - every task's signature
        """The number, with the interval that held the truth for nine validation rows in ten."""
        values = np.asarray(outputs["value"], np.float64).reshape(-1).tolist()
        return [
            {"value": value, "low": value - self._margin, "high": value + self._margin, "unit": self._unit}
            for value in values
        ]

    def parse_truth(self, payload: Mapping[str, Any]) -> Truth:
        """`value` as a float; raises InvalidInput."""
        for field in payload:
            if field != "value":
                raise InvalidInput('besides its "id", feedback has a "value", and nothing else')
        value = payload.get("value")
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise InvalidInput('"value" must be a number', "/value")
        if not abs(value) <= LARGEST:  # nor NaN; an integer may be larger than any float
            raise InvalidInput(f'"value" must lie between {-LARGEST:g} and {LARGEST:g}', "/value")
        return {"value": float(value) + 0.0}  # -0.0 is 0.0

    def loss(self, answer: Mapping[str, Any], truth: Truth) -> float:
        """How far off the number is."""
        return abs(float(answer["value"]) - float(truth["value"]))

    def score(self, losses: Losses) -> Score:
        """The mean absolute error."""
        return mean_absolute_error(losses)


def mean_absolute_error(losses: Losses) -> Score:
    """With its 95% interval."""
    return mean_score("mean_absolute_error", losses)
