"""A row is typed into a form by the columns of the model, and shown as a row."""

import streamlit as st

from boatyard.frontend.input_page import cut, explain, fill, form  # noqa: F401 - of the contract
from boatyard.frontend.protocol import Card, Request

NOUN = "row"
_CAPTIONED = 4


def caption(example: Request) -> str:
    """Its first values."""
    known = [str(value) for value in example.values() if value is not None]
    return ", ".join(known[:_CAPTIONED])


def show(request: Request) -> None:
    """A column for each value."""
    st.dataframe([dict(request)], hide_index=True)


def file_help(card: Card) -> str:  # noqa: ARG001 - every page's signature
    """The columns by their names."""
    return (
        "A CSV or TSV with a header or JSON Lines, with the columns of the form in each row; an empty cell is a value "
        "that is not known."
    )
