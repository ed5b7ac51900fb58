"""Answers with a number and an interval around it."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pydantic import BaseModel

from boatyard.bundle.manifest import BundleError, Card
from boatyard.inputs.protocol import InvalidInput
from boatyard.journal.columns import Column
from boatyard.tasks.protocol import Answer, Outputs, Target, Truth
from boatyard.tasks.protocol import NoOptions as Options  # noqa: F401 - of the contract
from boatyard.tasks.score import Losses, Score, mean_score

OUTPUTS = ("value",)
LARGEST = 1e15
"""In magnitude: what training takes, feedback can name."""


def open_task(card: Card) -> "Regression":
    """By `target.margin`, half the interval's width, and `target.buckets`. Raises BundleError."""
    margin, buckets = card.target.get("margin"), card.target.get("buckets")
    if not isinstance(margin, int | float) or not isinstance(buckets, list):
        raise BundleError(f"the manifest of {card.name} states no target.margin or no target.buckets")
    return Regression(float(margin), buckets, card.target.get("unit"))


def check_outputs(card: Card, shapes: Mapping[str, Sequence[Any]]) -> None:
    """Raises BundleError where the graph does not answer each row with one number."""
    width = shapes["value"][-1] if len(shapes["value"]) > 1 else 1
    if isinstance(width, int) and width != 1:
        raise BundleError(f"the graph of {card.name} answers a row with {width} numbers, and one is wanted")


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
        if not math.isfinite(value) or abs(value) > LARGEST:
            raise InvalidInput(f'"value" must lie between {-LARGEST:g} and {LARGEST:g}', "/value")
        return {"value": float(value)}

    def loss(self, answer: Mapping[str, Any], truth: Truth) -> float:
        """How far off the number is."""
        return abs(float(answer["value"]) - float(truth["value"]))

    def score(self, losses: Losses) -> Score:
        """The mean absolute error."""
        return mean_absolute_error(losses)


def mean_absolute_error(losses: Losses) -> Score:
    """With its 95% interval."""
    return mean_score("mean_absolute_error", losses)
