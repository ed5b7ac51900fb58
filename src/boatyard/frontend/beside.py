"""Other models and versions that are asked the same, and shown beside the one that answers by default."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import streamlit as st

from boatyard import inputs, tasks
from boatyard.frontend.protocol import Answer, Card, Request
from boatyard.frontend.services import Service, Trouble
from boatyard.frontend.showing import figures, literal

MOST = 3
"""The server keeps a few models besides its default."""

Options = Mapping[str, str | int | float]


@dataclass(frozen=True)
class Beside:
    """Another model's answer, or why it has none."""

    model: str
    card: Card | None = None
    answer: Answer | None = None
    why: str = ""


def choose(api: Service, card: Card) -> list[str]:
    """Draw which others are asked, if there are any; those that are chosen, as name@version."""
    published = [f"{model['name']}@{each}" for model in api.get("/models")["models"] for each in model["versions"]]
    others = [each for each in published if each != f"{card['name']}@{card['version']}"]
    if not others:
        return []
    return list(st.multiselect("Ask others as well", others, max_selections=MOST, placeholder="Models or versions"))


def ask(api: Service, models: Sequence[str], card: Card, request: Request, options: Options) -> list[Beside]:
    """`card`: of the model that answers by default, and `options`: of its task."""
    return [_ask(api, model, card, request, options) for model in models]


def _ask(api: Service, model: str, card: Card, request: Request, options: Options) -> Beside:
    try:
        other: Card = api.get(f"/models/{model.replace('@', '/')}")
        if other["input"] != card["input"]:
            return Beside(model, why="It reads something else.")
        same = options if other["task"] == card["task"] else {}
        return Beside(model, other, api.post("/predict", request, {**same, "model": model}))
    except Trouble as trouble:
        return Beside(model, why=str(trouble))


def show(request: Request, others: Sequence[Beside]) -> None:
    """Side by side; on a phone, one below another."""
    for place, each in zip(st.columns(len(others)), others, strict=True):
        with place.container(border=True):
            st.markdown(f"**{literal(each.model)}**")
            if each.card is None or each.answer is None:
                st.warning(literal(each.why))
                continue
            page = tasks.page(each.card["task"])
            if (marks := page.marks(each.answer)) is not None:
                inputs.page(each.card["input"]).show_marked(request, marks)
            st.markdown(literal(page.headline(each.answer)))
            figures(page.figures(each.answer))
