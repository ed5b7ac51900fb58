"""Answers with a number and an interval around it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from boatyard.bundle.manifest import BundleError, Card
from boatyard.inputs.protocol import InvalidInput
from boatyard.journal.columns import Column
from boatyard.tasks.one_number import FILES, check_outputs  # noqa: F401 - of the contract
from boatyard.tasks.protocol import Answer, Outputs, Target, Truth
from boatyard.tasks.regression.interval import HIGHEST_LEVEL, LEVEL, LOWEST_LEVEL, interval, quantile_of
from boatyard.tasks.score import Losses, Score, mean_score

OUTPUTS = ("value", "spread")
LARGEST = 1e15
"""In magnitude: what training takes, feedback can name."""


class Options(BaseModel):
    """What a client may choose."""

    level: float = Field(
        LEVEL, ge=LOWEST_LEVEL, le=HIGHEST_LEVEL, description="The share of rows whose truth the interval is to hold"
    )


class Facts(BaseModel):
    """Of a target, what an answer needs. `quantiles`: of `interval.fit_quantiles`."""

    model_config = ConfigDict(strict=True)

    log: bool
    quantiles: list[Annotated[FiniteFloat, Field(ge=0)]] = Field(min_length=99, max_length=99)
    buckets: list[FiniteFloat]
    unit: str | None = None


def open_task(card: Card, folder: Path | None) -> "Regression":  # noqa: ARG001 - every task\'s signature
    """By the card's `target`. Raises BundleError."""
    try:
        facts = Facts.model_validate(card.target)
    except ValidationError as wrong:
        error = wrong.errors()[0]
        where = ".".join(map(str, ("target", *error["loc"])))
        raise BundleError(f"the manifest of {card.name} is wrong at {where}: {error['msg']}") from None
    for name, numbers in (("buckets", sorted(set(facts.buckets))), ("quantiles", sorted(facts.quantiles))):
        if getattr(facts, name) != numbers:
            raise BundleError(f"the manifest of {card.name} is wrong at target.{name}: they must ascend")
    return Regression(facts)


def answer_schema(target: Target) -> dict[str, Any]:  # noqa: ARG001 - every task's signature
    """`value`, and `low` to `high`, where the truth lies for a share `level` of rows like those of the data set."""
    number = {"type": "number"}
    return {
        "type": "object",
        "properties": {
            **dict.fromkeys(("value", "low", "high", "level"), number),
            "unit": {"type": ["string", "null"]},
        },
        "required": ["value", "low", "high", "level", "unit"],
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

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self.columns = (Column("value", "the answer", group="prediction", buckets=facts.buckets),)

    def decode(self, outputs: Outputs, options: Options) -> list[Answer]:
        """The number, with the interval that held the truth of the options' share of validation rows."""
        values, spread, level = of_rows(outputs["value"]), of_rows(outputs["spread"]), options.level
        low, high = interval(values, spread, quantile_of(level, self._facts.quantiles), log=self._facts.log)
        return [
            {"value": value, "low": low, "high": high, "level": level, "unit": self._facts.unit}
            for value, low, high in zip(values.tolist(), low.tolist(), high.tolist(), strict=True)
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

    def explained(self, outputs: Outputs, answer: Answer) -> NDArray[np.float64]:  # noqa: ARG002 - every task's signature
        """The value."""
        return of_rows(outputs["value"])


def of_rows(output: NDArray[Any]) -> NDArray[np.float64]:
    """An output with one number for each row, float64[rows]."""
    return np.asarray(output, np.float64).reshape(-1)


def mean_absolute_error(losses: Losses) -> Score:
    """With its 95% interval."""
    return mean_score("mean_absolute_error", losses)
