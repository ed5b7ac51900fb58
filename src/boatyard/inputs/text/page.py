"""How texts are typed and shown."""

from typing import Any

import streamlit as st

from boatyard.frontend.protocol import Card, Request
from boatyard.frontend.showing import literal

NOUN = "message"
_SHOWN_CHARACTERS = 300


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
    limit = card["limits"].get("max_tokens", 0)
    return f"It was cut: the model reads {limit:,} tokens, and what came after them had no say."


def file_help(card: Card) -> str:
    """The columns by their names."""
    columns = " and ".join(f"**{literal(field)}**" for field in _fields(card))
    return f"A CSV or TSV with a header or JSON Lines, with {columns} in each row; other columns are passed over."


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
