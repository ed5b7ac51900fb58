"""What all pages share: text that stays text, and what to say when a service is in trouble."""

import re
from typing import Any

import streamlit as st

from boatyard.frontend.exposition import Traffic
from boatyard.frontend.services import Trouble

_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")  # ASCII's, which Markdown lets one escape
# Streamlit replaces icons, emoji, arrows and addresses after it has read the escapes, each inside one piece of text
_REPLACED = re.compile(r"(?<=[:@])(?=\S)|(?<=[<>~-])(?=[>=-])|(?<=www)(?=\.)", re.IGNORECASE)
_NOTHING = ":small[]"  # ends a piece of text, and shows nothing

# of a document: code and addresses, which stay; the colon of an icon, an emoji or a colour; what becomes an arrow
_EXTENSIONS = re.compile(r"(?P<kept>(`+).*?\2|\]\([^)\s]*)|(?P<colon>:)(?=[\w+-])|&#(?:60|62|126);", re.DOTALL)


def literal(text: object, limit: int = 1000) -> str:
    """`text` on one line as Markdown that shows just it: for labels and messages, which Streamlit reads as Markdown."""
    line = " ".join(str(text).split())
    pieces = _REPLACED.split(line if len(line) <= limit else _cut(line, limit))
    return _NOTHING.join(_PUNCTUATION.sub(r"\\\1", piece) for piece in pieces)


def plain_markdown(text: str) -> str:
    """A Markdown document without what Streamlit adds to the language, which its author did not mean."""

    def unread(match: re.Match[str]) -> str:
        if match["kept"]:
            return match[0]
        return f"\\:{_NOTHING}" if match["colon"] else f"{_NOTHING}{match[0]}{_NOTHING}"

    return _EXTENSIONS.sub(unread, text)


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
    elif trouble.status == 503:
        st.markdown("It may answer in a moment. Where no model is published yet, `uv run invoke pipeline` makes one.")
    elif trouble.status in (429, 504):
        st.markdown("It may answer in a moment.")
    if trouble.status in (0, 429, 503, 504):
        st.button("Try again", icon=":material/refresh:", key=f"again-{service.name}")


def figures(**numbers: str) -> None:
    """A few numbers side by side, on a phone too; an underscore in a name is shown as a space."""
    with st.container(horizontal=True, gap="small"):
        for name, number in numbers.items():
            st.metric(literal(name.replace("_", " ")), number)


def judged(quality: dict[str, Any]) -> str:
    """What the monitor knows of live quality."""
    if not quality["feedback"]:
        return "No answer has feedback yet."
    return (
        f"Answers with feedback: {quality['feedback']:,}. Accuracy is between {percent(quality['low'])} and "
        f"{percent(quality['high'])}; the model was accepted at {percent(quality['accepted'])}."
    )


def underway(traffic: Traffic) -> str:
    """What the journal in the storage, and so the monitor, does not know of yet; empty where that is nothing."""
    if not traffic.journal_lag:
        return ""
    return (
        f"What this server answered in the last {traffic.journal_lag:,.0f} s is on its way to the journal, which takes "
        "about a minute."
    )


def when(time: str) -> str:
    """2026-11-21T09:24:11Z as 2026-11-21 09:24."""
    return time[:16].replace("T", " ")


def percent(share: float | None) -> str:
    """0.724 as 72.4%; nothing is known of None."""
    return "n/a" if share is None else f"{share:.1%}"
