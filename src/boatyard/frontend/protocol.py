"""The modules of an input and a task for the web page, which import Streamlit but no training or serving code.

A card is what `GET /model` answers, a request what `POST /predict` takes. How to write a page is in
docs/how-to/add-an-input-or-a-task.md.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

Card = Mapping[str, Any]
"""The manifest of a bundle in format 2, without its files and its training config."""

Request = Mapping[str, Any]
Answer = Mapping[str, Any]
Parts = Sequence[Mapping[str, Any]]
"""Of an answer's explanation, each with its `name`, its `effect` and its place in the request."""

Marks = Sequence[Mapping[str, Any]]
"""What an answer says of places in its request: `name`, `score`, and `left`, `top`, `right`, `bottom` from 0 to 1."""

CorrectMarks = Callable[[Marks, Sequence[str]], Marks | None]
"""Draws a request for people to put its marks right: those that there are now, or None where that cannot be.

Each has one of the names; one that somebody has drawn has no `score`.
"""

Truth = Mapping[str, Any]
"""Feedback without its id."""


class InputPage(Protocol):
    """The module `boatyard.inputs.<input>.page`."""

    NOUN: str
    """The noun for one request, such as "message"."""
    FILE_TYPES: Mapping[str, str]
    """By suffix, the media types of a job's files that the input reads besides CSV, TSV and JSON Lines."""

    def form(self, card: Card) -> Request:
        """Draw the widgets that make one request, inside a form; the request that they make now."""

    def fill(self, example: Request) -> None:
        """Put an example into the widgets, which are drawn afterwards."""

    def caption(self, example: Request) -> str:
        """The example as its button names it; what is too long is cut."""

    def show(self, request: Request) -> None:
        """Draw a request that was answered, above its answer."""

    def show_marked(self, request: Request, marks: Marks) -> None:
        """Draw a request with the marks of its answer; of a task that makes such."""

    def correct_marks(self, request: Request, key: str, marks: Marks, names: Sequence[str]) -> Marks | None:
        """The CorrectMarks of a request, inside a form. `key`: other for each answer."""

    def cut(self, card: Card) -> str:
        """The sentence on an answer to a request of which the model read a part."""

    def file_help(self, card: Card) -> str:
        """What a file of many requests holds, as Markdown."""

    def explain(self, request: Request, parts: Parts) -> None:
        """Draw which parts of the request moved its answer; there is one at least."""


class TaskPage(Protocol):
    """The module `boatyard.tasks.<task>.page`."""

    def summary(self, card: Card) -> str:
        """What the model answers with, such as "77 labels"."""

    def options(self, card: Card) -> Mapping[str, str | int | float]:
        """The task's Options to send where the defaults do not suit; may draw widgets that choose them."""

    def headline(self, answer: Answer) -> str:
        """The answer itself, in a few words."""

    def figures(self, answer: Answer) -> dict[str, str]:
        """A few numbers of the answer by name."""

    def draw(self, answer: Answer, card: Card) -> None:
        """Draw the rest of the answer, such as a chart."""

    def marks(self, answer: Answer) -> Marks | None:
        """What is drawn on the request; None where the answer says nothing of places in it."""

    def agreement(self, answer: Answer) -> Truth | None:
        """The truth if the answer is exactly right; None if that cannot be judged."""

    def correction(self, answer: Answer, card: Card, correct_marks: CorrectMarks) -> Truth | None:
        """Draw the widgets that ask for the truth, inside a form; the truth that they hold now, if any.

        `correct_marks`: of the request, for a task whose answers have marks.
        """

    def describe(self, truth: Truth, card: Card) -> str:
        """A truth, in a few words."""

    def mistakes(self, metrics: Mapping[str, Any]) -> None:
        """Draw where the model is wrong, by a bundle's metrics.json."""

    def data(self, facts: Mapping[str, Any]) -> None:
        """Draw the targets that it was trained on, by a bundle's data.json."""
