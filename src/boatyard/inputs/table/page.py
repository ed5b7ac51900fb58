"""A row is typed into a form by the columns of the model, and shown as a row."""

from typing import Any

import streamlit as st

from boatyard.frontend.input_page import (  # noqa: F401 - of the contract
    FILE_TYPES,
    correct_marks,
    cut,
    explain,
    fill,
    form,
    show_marked,
)
from boatyard.frontend.protocol import Card, Request
from boatyard.frontend.widgets import held

NOUN = "row"
_CAPTIONED = 4


def caption(example: Request) -> str:
    """Its first values."""
    known = [str(value) for value in example.values() if value is not None]
    return ", ".join(known[:_CAPTIONED])


def show(request: Request) -> None:
    """The values that are known, on lines as long as the page."""
    st.text(", ".join(f"{name}: {_shown(value)}" for name, value in request.items() if value is not None))


def file_help(card: Card) -> str:  # noqa: ARG001 - every page's signature
    """The columns by their names."""
    return (
        "A CSV or TSV with a header or JSON Lines, with the columns of the form in each row; an empty cell is a value "
        "that is not known."
    )


def _shown(value: Any) -> str:
    return f"{value:.15g}" if isinstance(value, float) else str(held(value))
