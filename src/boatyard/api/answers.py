"""The shapes of what the API answers, and how predictions become them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from boatyard.bundle.manifest import Manifest
from boatyard.bundle.predict import Prediction


@dataclass(slots=True)
class Choice:
    """A label and its probability."""

    label: str
    score: float


@dataclass(slots=True)
class Answer:
    """The answer to one input."""

    id: str
    label: str
    score: float
    top: list[Choice]
    model: str
    version: str
    truncated: Annotated[bool, Field(description="the input was longer than the model reads")]
    duration_ms: Annotated[float, Field(description="from the request's arrival to this answer")]


@dataclass(slots=True)
class Answers:
    """The answers to a list of inputs, in its order."""

    predictions: list[Answer]


class Feedback(BaseModel):
    """The right label of an earlier prediction."""

    model_config = ConfigDict(extra="forbid", strict=True)

    id: str = Field(pattern=r"^[0-9a-f]{32}$")
    label: str = Field(min_length=1)


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
        Answer(
            id=name,
            label=prediction.label,
            score=prediction.score,
            top=[Choice(label, score) for label, score in prediction.top],
            model=manifest.name,
            version=manifest.version,
            truncated=prediction.truncated,
            duration_ms=duration_ms,
        )
        for name, prediction in zip(ids, predictions, strict=True)
    ]
