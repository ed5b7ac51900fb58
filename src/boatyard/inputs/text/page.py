"""How texts are typed and shown."""

from collections.abc import Mapping
from html import escape
from typing import Any

import streamlit as st

from boatyard.frontend import charts
from boatyard.frontend.input_page import (
    FILE_TYPES,  # noqa: F401 - of the contract
    correct_marks,  # noqa: F401 - the page's own, too
    file_help,  # noqa: F401 - of the contract
    show_marked,  # noqa: F401 - the page's own, too
)
from boatyard.frontend.protocol import Card, Parts, Request
from boatyard.frontend.showing import literal

NOUN = "message"
_SHOWN_CHARACTERS = 300
_STRONGEST_TINT = 0.6


def form(card: Card) -> Request:
    """A text area for each field."""
    return {field: _text_area(field) for field in _fields(card)}


def fill(example: Request) -> None:
    """By the keys of the text areas."""
    for field, text in example.items():
        st.session_state[_key(field)] = text


def caption(example: Request) -> str:
    """Its texts on one line."""
    return " / ".join(map(str, example.values()))


def show(request: Request) -> None:
    """Its texts, of long ones the beginning."""
    for text in request.values():
        st.text(_shortened(text))


def cut(card: Card) -> str:
    """By the model's tokens."""
    limit = max(card["limits"].get(name, 0) for name in ("max_tokens", "max_words"))
    return f"It was cut: the model reads {limit:,} tokens, and the others had no say."


def explain(request: Request, parts: Parts) -> None:
    """Its words, those for the answer tinted in the accent and those against it in grey, as strong as their effects."""
    strongest = max(abs(part["effect"]) for part in parts) or 1.0
    for field, text in request.items():
        own = [part for part in parts if part["field"] == field]
        marked = [_marked(part, strongest) for part in own]
        ends = [0, *(part["end"] for part in own)]
        between = [escape(text[end : part["start"]]) for end, part in zip(ends, own, strict=False)]
        unread = _shortened(text[ends[-1] :])
        st.html("".join(f"{space}{mark}" for space, mark in zip(between, marked, strict=True)) + escape(unread))


def _marked(part: Mapping[str, Any], strongest: float) -> str:
    colour = charts.accent() if part["effect"] > 0 else charts.GREY
    background = charts.tint(colour, _STRONGEST_TINT * abs(part["effect"]) / strongest)
    title = f"{part['effect']:+.4f}"
    return f'<mark style="background:{background};color:inherit" title="{title}">{escape(part["name"])}</mark>'


def _fields(card: Card) -> list[str]:
    """In the order that the model reads."""
    fields: list[str] = card["request_schema"].get("required", [])
    return fields


def _text_area(field: str) -> Any:
    return st.text_area(
        literal(field.replace("_", " ").capitalize()), key=_key(field), height=68 if field == "title" else 120
    )


def _key(field: str) -> str:
    return f"field-{field}"


def _shortened(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}… ({len(text):,} characters)"
