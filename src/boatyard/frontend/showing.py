"""Shared by all pages: escaped text, numbers, and messages about services in trouble."""

import re
from collections.abc import Mapping
from typing import Any

import streamlit as st

from boatyard.frontend.exposition import Traffic
from boatyard.frontend.services import Trouble
from boatyard.tasks.score import Score, shown

_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")  # ASCII's, which Markdown lets one escape
# Streamlit replaces icons, emoji, arrows and addresses after it has read the escapes, each inside one piece of text
_REPLACED = re.compile(r"(?<=[:@])(?=\S)|(?<=[<>~-])(?=[>=-])|(?<=www)(?=\.)", re.IGNORECASE)
_NOTHING = ":small[]"  # ends a piece of text, and shows nothing

# of a document: code and addresses, which stay; the colon of an icon, an emoji or a colour; what becomes an arrow
_EXTENSIONS = re.compile(r"(?P<kept>(`+).*?\2|\]\([^)\s]*)|(?P<colon>:)(?=[\w+-])|&#(?:60|62|126);", re.DOTALL)


def literal(content: object, limit: int = 1000) -> str:
    """Escapes `content` into one line of Markdown, which Streamlit expects for names and messages."""
    line = " ".join(str(content).split())
    pieces = _REPLACED.split(line if len(line) <= limit else _cut(line, limit))
    return _NOTHING.join(_PUNCTUATION.sub(r"\\\1", piece) for piece in pieces)


def plain_markdown(document: str) -> str:
    """A Markdown document without what Streamlit adds to the language, which its author did not mean."""

    def unread(match: re.Match[str]) -> str:
        if match["kept"]:
            return match[0]
        return f"\\:{_NOTHING}" if match["colon"] else f"{_NOTHING}{match[0]}{_NOTHING}"

    return _EXTENSIONS.sub(unread, document)


def _cut(line: str, limit: int) -> str:
    """Truncated after the last whole word that fits."""
    return f"{line[: limit - 1].rsplit(' ', 1)[0]}…"


def explain(trouble: Trouble) -> None:
    """Shows what is wrong, and what to do about it."""
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


def figures(numbers: Mapping[str, str]) -> None:
    """A few numbers side by side, on a phone too."""
    with st.container(horizontal=True, gap="small"):
        for name, number in numbers.items():
            st.metric(literal(name), number)


def live(quality: dict[str, Any]) -> dict[str, str]:
    """The score on answers with feedback, by its name."""
    measured = quality["score"] or quality["accepted"]
    title = Score(**measured).title if measured else "quality"
    return {f"Live {title}": Score(**quality["score"]).shown if quality["score"] else "n/a"}


def judged(quality: dict[str, Any], nothing: str = "No answer has feedback yet.") -> str:
    """Live quality, from the monitor; `nothing` is said where no answer was judged."""
    if not quality["score"]:
        return nothing
    score = Score(**quality["score"])
    sentence = f"Answers with feedback: {quality['feedback']:,}."
    if score.low is not None and score.high is not None:
        sentence += f" {literal(score.heading)} is between {shown(score.low)} and {shown(score.high)}"
        if quality["accepted"]:
            sentence += f"; the model was accepted at {Score(**quality['accepted']).shown}"
        sentence += "."
    return sentence


def underway(traffic: Traffic) -> str:
    """A note on what is not shipped to the storage, and so unknown to the monitor; empty if all is."""
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


def number(value: float | None) -> str:
    """As many decimals as it has and a person reads; nothing is known of None."""
    if value is None:
        return "n/a"
    rounded = shown(value)
    return rounded.rstrip("0").rstrip(".") if "." in rounded else rounded
