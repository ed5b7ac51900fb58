"""What all pages share: text that stays text, and what to say when a service is in trouble."""

import re
from typing import Any

import streamlit as st

from boatyard.frontend.services import Trouble

_MARKUP = re.compile(r"([!-/:-@\[-`{-~])")  # ASCII punctuation, which Markdown lets one escape


def literal(text: object, limit: int = 1000) -> str:
    """`text` on one line as Markdown that shows just it: for labels and messages, which Streamlit reads as Markdown."""
    line = " ".join(str(text).split())
    return _MARKUP.sub(r"\\\1", line if len(line) <= limit else _cut(line, limit))


def _cut(line: str, limit: int) -> str:
    """Behind its last whole word, where it has several."""
    return f"{line[: limit - 1].rsplit(' ', 1)[0]}…"


def explain(trouble: Trouble) -> None:
    """Says what is wrong, and what a person can do about it."""
    service = trouble.service
    st.error(literal(trouble), icon=":material/error:")
    if trouble.status == 0:
        st.markdown(
            f"Start it with `uv run {service.start}`. Where it runs elsewhere, start this page with "
            f"`{service.variable}` set to its address."
        )
    elif trouble.status in (401, 403):
        st.markdown("Type a key that it knows under **Keys**, in the side bar.")
    elif trouble.status in (429, 503, 504):
        st.markdown("It may answer in a moment.")
    if trouble.status in (0, 429, 503, 504):
        st.button("Try again", icon=":material/refresh:", key=f"again-{service.name}")


def figures(**numbers: str) -> None:
    """A few numbers side by side, on a phone too; an underscore in a name is shown as a space."""
    with st.container(horizontal=True, gap="small"):
        for name, number in numbers.items():
            st.metric(name.replace("_", " "), number)


def judged(quality: dict[str, Any]) -> str:
    """What the monitor knows of live quality."""
    if not quality["feedback"]:
        return "No answer has feedback yet."
    return (
        f"{quality['feedback']:,} answers have feedback: accuracy is between {percent(quality['low'])} and "
        f"{percent(quality['high'])}; the model was accepted at {percent(quality['accepted'])}."
    )


def when(time: str) -> str:
    """2026-11-21T09:24:11Z as 2026-11-21 09:24."""
    return time[:16].replace("T", " ")


def percent(share: float | None) -> str:
    """0.724 as 72.4%; nothing is known of None."""
    return "n/a" if share is None else f"{share:.1%}"
