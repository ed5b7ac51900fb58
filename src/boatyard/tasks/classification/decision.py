"""From the graph's probabilities to those that are answered, and to the label that they decide."""

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

from boatyard.tasks.protocol import Outputs, Target

Floats = NDArray[np.floating[Any]]


class Decision(BaseModel):
    """Of a target, what an answer needs."""

    model_config = ConfigDict(frozen=True, strict=True)

    labels: list[str] = Field(min_length=1)
    """In the order of the graph's classes."""
    temperature: FiniteFloat = Field(default=1.0, gt=0)
    """By which logits are divided: see `temperature.fit_temperature`."""
    positive: str | None = None
    """The label that is told from the rest, where a threshold makes sense."""
    threshold: FiniteFloat | None = Field(default=None, ge=0, le=1)
    """The least probability at which the positive label is answered; None: where it is the likeliest."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.positive is not None and self.positive not in self.labels:
            raise ValueError(f"the positive label {self.positive!r} is not among the labels")
        if self.threshold is not None and self.positive is None:
            raise ValueError("a threshold needs a positive label")
        return self

    def probabilities(self, outputs: Outputs) -> Floats:
        """[rows, classes], at the temperature. Their order within a row never changes."""
        return at_temperature(outputs["probabilities"], self.temperature)

    def classes(self, probabilities: Floats, threshold: float | None = None) -> NDArray[np.int64]:
        """[rows]: the likeliest or, by a threshold, the positive one or the likeliest of the others.

        `threshold`: the decision's own where None.
        """
        threshold = self.threshold if threshold is None else threshold
        if threshold is None or self.positive is None:
            likeliest: NDArray[np.int64] = probabilities.argmax(axis=1)
            return likeliest
        positive = self.labels.index(self.positive)
        others = probabilities.copy()
        others[:, positive] = -1
        return np.where(probabilities[:, positive] >= threshold, positive, others.argmax(axis=1))


def at_temperature(probabilities: Floats, temperature: float) -> Floats:
    """The softmax of logits divided by the temperature, made of their softmax: both are the same up to its sum.

    At 1 they are what they were, to the last bit; else float64, in which no two that differ become equal.
    """
    if temperature == 1:
        return probabilities
    powers = probabilities.astype(np.float64) ** (1 / temperature)
    scaled: Floats = powers / powers.sum(axis=1, keepdims=True)
    return scaled


def decided(outputs: Outputs, target: Target) -> Outputs:
    """A network's outputs as they are answered: with `probabilities` at the temperature, and the `predictions`.

    A baseline's, which has predictions alone, stay as they are.
    """
    if "probabilities" not in outputs:
        return outputs
    decision = Decision.model_validate(target)
    probabilities = decision.probabilities(outputs)
    return {**outputs, "probabilities": probabilities, "predictions": decision.classes(probabilities)}
