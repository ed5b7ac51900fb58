"""The response bodies of the API, and how predictions are rendered."""

from collections.abc import Iterable, Sequence
from time import perf_counter
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from boatyard.bundle.manifest import Manifest
from boatyard.bundle.predict import Prediction

Answer = dict[str, Any]
"""The task's answer to one input, with the fields of Envelope."""


class PartEffect(BaseModel):
    """What a part of the input, such as one of its values, has done to the answer."""

    name: str
    effect: float = Field(description="Added to the number that is explained; negative: it spoke against the answer.")
    field: str = Field(description="Of the request.")
    start: int | None = Field(
        default=None, description="Where in the field's value the part begins; left out where it is all of the field."
    )
    end: int | None = Field(default=None, description="Where it ends.")


class Explanation(BaseModel):
    """How the answer's number came about: the base and all effects add up to it."""

    base: float = Field(description="The number without the input's own parts.")
    parts: list[PartEffect] = Field(description="In the input's order.")


class Envelope(BaseModel):
    """The fields of every answer, whatever its task."""

    id: str = Field(description="Identifies the answer in feedback.")
    name: str | None = Field(
        default=None, description="What the input is called in the request; left out where it has no name."
    )
    model: str
    version: str
    truncated: bool = Field(description="The input was longer than the model reads.")
    duration_ms: float = Field(description="From the request's arrival to this answer.")
    explanation: Explanation | None = Field(default=None, description="Left out unless it is asked for.")


class Feedback(BaseModel):
    """The truth about an earlier prediction: its id, and the fields of the model's task."""

    model_config = ConfigDict(extra="allow", strict=True)

    id: str = Field(pattern=r"^[0-9a-f]{32}$")


class PublishedModel(BaseModel):
    """A model in the registry: its versions, newest first, and its aliases."""

    name: str
    versions: list[str]
    aliases: dict[str, str]


class PublishedModels(BaseModel):
    """Every model in the registry."""

    models: list[PublishedModel]


class Health(BaseModel):
    """The server is alive."""

    status: str = "ok"


class Readiness(BaseModel):
    """The default model is loaded."""

    status: str = "ready"
    model: str
    version: str


def answers(manifest: Manifest, ids: Iterable[str], predictions: Sequence[Prediction], started: float) -> list[Answer]:
    """Each prediction with its id. `started` is the `perf_counter` at the request's arrival."""
    duration_ms = round(1000 * (perf_counter() - started), 3)
    return [
        {
            "id": id_,
            **named(prediction),
            **prediction.answer,
            "model": manifest.name,
            "version": manifest.version,
            "truncated": prediction.truncated,
            "duration_ms": duration_ms,
        }
        for id_, prediction in zip(ids, predictions, strict=True)
    ]


def named(prediction: Prediction) -> dict[str, str]:
    """The input's `name`, if it has one."""
    return {} if prediction.name is None else {"name": prediction.name}
