"""A picture on which people put marks right, as a component of Streamlit's: marking.js draws and listens."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from boatyard.frontend.protocol import Marks
from boatyard.inputs.image.overlay import COLOURS

_HERE = Path(__file__)

_component = st.components.v2.component(
    "boatyard.marking",
    html='<div class="marking"></div>',
    css=_HERE.with_suffix(".css").read_text(encoding="utf-8"),
    js=_HERE.with_suffix(".js").read_text(encoding="utf-8"),
)


def ask(key: str, address: str, size: tuple[int, int], marks: Marks, names: Sequence[str]) -> Marks:
    """Draw the picture at this address, of that width and height, with `marks`, each of which may have one of `names`.

    Returns those that there are now.
    """
    width, height = size
    data = {
        "picture": address,
        "width": width,
        "height": height,
        "marks": marks,
        "names": names,
        "colours": COLOURS,
    }
    state: Mapping[str, Any] = _component(key=key, data=data, default={"marks": marks}, on_marks_change=_nothing)
    now: Marks = state["marks"]
    return now


def _nothing() -> None:
    """A component has only such state as something is called for."""
