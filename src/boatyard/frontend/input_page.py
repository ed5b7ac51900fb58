"""The page of an input by its request schema.

An input's `page` says `from boatyard.frontend.input_page import *`, then what differs.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import streamlit as st

from boatyard.frontend import charts
from boatyard.frontend.protocol import Card, Marks, Parts, Request
from boatyard.frontend.showing import literal
from boatyard.frontend.widgets import held, is_nullable, widget

__all__ = [
    "FILE_TYPES",
    "NOUN",
    "caption",
    "correct_marks",
    "cut",
    "explain",
    "file_help",
    "fill",
    "form",
    "show",
    "show_marked",
]

NOUN = "request"
FILE_TYPES: Mapping[str, str] = {}
_SHOWN_CHARACTERS = 300
_BESIDE = 3
_SHOWN_PARTS = 15


def form(card: Card) -> Request:
    """A widget for each field, side by side where they are many; one that is left empty is null where it may be."""
    fields = card["request_schema"]["properties"]
    request = {}
    for place, (name, schema) in zip(_places(len(fields)), fields.items(), strict=False):
        with place:
            value = widget(name, schema, _key(name))
        if value is not None or is_nullable(schema):
            request[name] = value
    return request


def fill(example: Request) -> None:
    """By the keys of the widgets."""
    for name, value in example.items():
        st.session_state[_key(name)] = held(value)


def caption(example: Request) -> str:
    """The values of its fields."""
    return " / ".join(str(held(value)) for value in example.values())


def show(request: Request) -> None:
    """Each field by its name, of long ones the beginning."""
    for name, value in request.items():
        st.text(f"{name}: {str(held(value))[:_SHOWN_CHARACTERS]}")


def show_marked(request: Request, marks: Marks) -> None:  # noqa: ARG001 - every page's signature
    """The request alone: there is nothing in it that could be seen."""
    show(request)


def correct_marks(request: Request, key: str, marks: Marks, names: Sequence[str]) -> Marks | None:  # noqa: ARG001
    """None: there is nothing in it that could be drawn on."""
    return None


def cut(card: Card) -> str:  # noqa: ARG001 - every page's signature
    """In general."""
    return "It was cut: the model reads only a part of so long a request."


def file_help(card: Card) -> str:
    """The columns by their names."""
    columns = " and ".join(f"**{literal(name)}**" for name in card["request_schema"].get("required", []))
    return f"A CSV or TSV with a header or JSON Lines, with {columns} in each row; other columns are ignored."


def explain(request: Request, parts: Parts) -> None:  # noqa: ARG001 - every page's signature
    """A bar for each part, those that moved it most first."""
    most = sorted(parts, key=lambda part: -abs(part["effect"]))[:_SHOWN_PARTS]
    charts.draw(charts.effects(most), "What each part of the request has done to the answer")
    if more := len(parts) - len(most):
        st.caption(f"{more:,} more moved it less.")


def _places(fields: int) -> Iterator[Any]:
    """Row by row, so that a phone, which shows them one below another, keeps the fields' order."""
    if fields <= _BESIDE:
        yield from [st.container()] * fields
        return
    for _ in range(0, fields, _BESIDE):
        yield from st.columns(_BESIDE)


def _key(name: str) -> str:
    return f"field-{name}"
