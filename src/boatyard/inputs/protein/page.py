"""How sequences are pasted and shown."""

from collections.abc import Mapping
from html import escape
from typing import Any

import streamlit as st

from boatyard.frontend import charts
from boatyard.frontend.input_page import correct_marks, show_marked  # noqa: F401 - the page's own, too
from boatyard.frontend.protocol import Card, Parts, Request

NOUN = "sequence"
FILE_TYPES: Mapping[str, str] = dict.fromkeys(("fasta", "fa", "faa", "gz"), "text/x-fasta")
_SEQUENCE, _ID = "sequence", "id"
_SHOWN_RESIDUES = 60
_STRONGEST_TINT = 0.6


def form(card: Card) -> Request:  # noqa: ARG001 - every page's signature
    """A text area for the sequence. A record of FASTA may be pasted too: its header becomes the id."""
    pasted = st.text_area("Sequence", key=_key(_SEQUENCE), height=160, placeholder="MKKIFVAALF... or a record of FASTA")
    header, _, rest = pasted.strip().partition("\n")
    if not header.startswith(">"):
        return {_SEQUENCE: pasted}
    id_ = header[1:].split()
    return {_SEQUENCE: rest, **({_ID: id_[0]} if id_ else {})}


def fill(example: Request) -> None:
    """By the key of the text area, as FASTA where it has an id."""
    sequence = str(example[_SEQUENCE])
    st.session_state[_key(_SEQUENCE)] = f">{example[_ID]}\n{sequence}" if example.get(_ID) else sequence


def caption(example: Request) -> str:
    """Its id, or how it begins."""
    return str(example.get(_ID) or example[_SEQUENCE])


def show(request: Request) -> None:
    """Its id, how it begins, and how long it is."""
    sequence = str(request[_SEQUENCE])
    begins = sequence if len(sequence) <= _SHOWN_RESIDUES else f"{sequence[:_SHOWN_RESIDUES]}…"
    st.text(f"{request.get(_ID, '')} {begins} ({len(sequence):,} residues)".strip())


def cut(card: Card) -> str:
    """By the model's residues."""
    limit = card["limits"].get("max_residues", 0)
    return f"It was cut: the model reads {limit:,} residues, and what came after them had no say."


def file_help(card: Card) -> str:  # noqa: ARG001 - every page's signature
    """FASTA, and the columns of tables."""
    return (
        f"FASTA, compressed by gzip or not; or a CSV or TSV with a header or JSON Lines, with **{_SEQUENCE}** in each "
        f"row and perhaps **{_ID}**; other columns are ignored."
    )


def explain(request: Request, parts: Parts) -> None:  # noqa: ARG001 - every page's signature
    """The sequence: stretches for the answer tinted in the accent, those against it in grey, by their effects."""
    strongest = max(abs(part["effect"]) for part in parts) or 1.0
    marks = "<wbr>".join(_marked(part, strongest) for part in parts)
    st.html(f'<div style="font-family:monospace;overflow-wrap:anywhere">{marks}</div>')


def _marked(part: Mapping[str, Any], strongest: float) -> str:
    colour = charts.accent() if part["effect"] > 0 else charts.GREY
    background = charts.tint(colour, _STRONGEST_TINT * abs(part["effect"]) / strongest)
    title = f"{part['start'] + 1:,} to {part['end']:,}: {part['effect']:+.4f}"
    return f'<mark style="background:{background};color:inherit" title="{title}">{escape(part["name"])}</mark>'


def _key(field: str) -> str:
    return f"field-{field}"
