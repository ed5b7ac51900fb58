"""The page of a task by its schemas.

A task's `page` says `from boatyard.frontend.task_page import *`, then what differs.
"""

from collections.abc import Mapping
from typing import Any

from boatyard.frontend.protocol import Answer, Card, CorrectMarks, Truth
from boatyard.frontend.showing import number
from boatyard.frontend.widgets import held, widget

__all__ = [
    "agreement",
    "correction",
    "data",
    "describe",
    "draw",
    "figures",
    "headline",
    "marks",
    "mistakes",
    "options",
    "summary",
]

_ENVELOPE = {"id", "model", "version", "truncated", "duration_ms", "explanation"}


def summary(card: Card) -> str:
    """The name of the task."""
    return str(card["task"]).capitalize()


def options(card: Card) -> Mapping[str, str | int | float]:  # noqa: ARG001 - every page's signature
    """None."""
    return {}


def headline(answer: Answer) -> str:
    """The first of its own values."""
    return next(iter(_own(answer).values()), "")


def figures(answer: Answer) -> dict[str, str]:
    """Its other values."""
    _, *others = _own(answer).items()
    return {name.replace("_", " ").capitalize(): value for name, value in others}


def draw(answer: Answer, card: Card) -> None:
    """Nothing."""


def marks(answer: Answer) -> None:
    """None."""


def agreement(answer: Answer) -> Truth | None:  # noqa: ARG001 - every page's signature
    """None: what would be right is always asked."""
    return None


def correction(answer: Answer, card: Card, correct_marks: CorrectMarks) -> Truth | None:  # noqa: ARG001 - every page's signature
    """A widget for each field of the truth; None until all that are required hold something."""
    schema = card["truth_schema"]
    values = {name: widget(name, of, f"{name}-{answer['id']}") for name, of in schema["properties"].items()}
    values = {name: value for name, value in values.items() if value is not None}
    return values if values.keys() >= set(schema.get("required", [])) else None


def describe(truth: Truth, card: Card) -> str:  # noqa: ARG001 - every page's signature
    """The values of its fields."""
    return ", ".join(map(_shown, truth.values()))


def mistakes(metrics: Mapping[str, Any]) -> None:
    """Nothing."""


def data(facts: Mapping[str, Any]) -> None:
    """Nothing."""


def _own(answer: Answer) -> dict[str, str]:
    return {name: _shown(value) for name, value in answer.items() if name not in _ENVELOPE}


def _shown(value: Any) -> str:
    return number(value) if isinstance(value, float) else str(held(value))
