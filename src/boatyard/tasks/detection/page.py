"""How objects are shown, and marked as wrong."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from boatyard.frontend.protocol import Answer, Card, CorrectMarks, Marks, Truth
from boatyard.frontend.showing import literal, percent
from boatyard.frontend.task_page import draw  # noqa: F401 - the page's own, too

Objects = Sequence[Mapping[str, Any]]

_LEAST_SCORE = 0.05
_STEP = 0.05


def summary(card: Card) -> str:
    """How many classes there are."""
    return f"{len(card['target']['classes']):,} classes"


def options(card: Card) -> Mapping[str, str | int | float]:
    """The least score, where it is not the model's own."""
    own = float(card["target"]["threshold"])
    chosen = st.slider(
        "Least score",
        _LEAST_SCORE,
        1.0,
        own,
        _STEP,
        help=f"Objects that the model is less sure of are left out. {own:g} did best on validation.",
    )
    return {} if abs(chosen - own) < _STEP / 2 else {"threshold": round(chosen, 2)}


def headline(answer: Answer) -> str:
    """How many of which."""
    return _counted(answer["objects"])


def figures(answer: Answer) -> dict[str, str]:
    """How sure the model is."""
    return {"Found": f"{answer['found']:,}", "Certainty": percent(answer["certainty"]) if answer["found"] else "n/a"}


def marks(answer: Answer) -> Marks:
    """Its objects."""
    width, height = answer["width"], answer["height"]
    return [
        {
            "name": each["label"],
            "score": each["score"],
            "left": each["box"][0] / width,
            "top": each["box"][1] / height,
            "right": each["box"][2] / width,
            "bottom": each["box"][3] / height,
        }
        for each in answer["objects"]
    ]


def agreement(answer: Answer) -> Truth | None:
    """Its objects."""
    return {"objects": [{"label": each["label"], "box": each["box"]} for each in answer["objects"]]}


def correction(answer: Answer, card: Card, correct_marks: CorrectMarks) -> Truth | None:
    """The objects as they are marked, once something is changed; or only that the answer is wrong."""
    marked = correct_marks(marks(answer), card["target"]["classes"])
    if st.checkbox("Only say that it is wrong", help="Nothing is learnt from that, but it counts as a mistake."):
        return {"wrong": True}
    truth = None if marked is None else {"objects": _objects(marked, answer["width"], answer["height"])}
    return None if truth == agreement(answer) else truth


def describe(truth: Truth, card: Card) -> str:  # noqa: ARG001 - every task's signature
    """The objects that are there."""
    return "another answer" if truth.get("wrong") else _counted(truth["objects"])


def mistakes(metrics: Mapping[str, Any]) -> None:
    """How well each class is found."""
    st.markdown("**How well each class is found**")
    st.caption(f"{metrics['rows']:,} pictures of the {literal(metrics['split'])} split, as trained.")
    rows = metrics["detail"]["by_class"].items()
    st.table(
        [{"class": literal(name), "mAP50": _score(of, "map50"), "mAP50:95": _score(of, "map")} for name, of in rows]
    )


def data(facts: Mapping[str, Any]) -> None:
    """The boxes of each class."""
    st.markdown("**Boxes of each class**")
    st.table(
        [
            {"class": literal(name), **{split: f"{counts[place]:,}" for split, counts in facts["boxes"].items()}}
            for place, name in enumerate(facts["classes"])
        ]
    )


def _counted(objects: Objects) -> str:
    counts = Counter(each["label"] for each in objects).most_common()
    return ", ".join(f"{count} {label}" for label, count in counts) or "Nothing"


def _objects(marked: Marks, width: int, height: int) -> list[dict[str, Any]]:
    """In pixels, as precisely as an answer has them."""
    extent = {"left": width, "top": height, "right": width, "bottom": height}
    return [
        {"label": each["name"], "box": [round(each[edge] * pixels, 2) for edge, pixels in extent.items()]}
        for each in marked
    ]


def _score(of: Mapping[str, float] | None, name: str) -> str:
    return "n/a" if of is None else f"{of[name]:.3f}"
