"""How labels are shown and corrected."""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import streamlit as st

from boatyard.config.plurals import counted
from boatyard.frontend import charts
from boatyard.frontend.protocol import Answer, Card, CorrectMarks, Truth
from boatyard.frontend.showing import literal, percent
from boatyard.frontend.task_page import marks  # noqa: F401 - the page's own, too

_MOST_LABELS = 40  # that a chart on a page shows
_MOST_PAIRS = 10


def summary(card: Card) -> str:
    """How many labels there are."""
    return f"{len(card['target']['labels']):,} labels"


def options(card: Card) -> Mapping[str, str | int | float]:  # noqa: ARG001 - every task's signature
    """As many labels as a chart has room for."""
    return {"top_k": 5}


def headline(answer: Answer) -> str:
    """The label."""
    return str(answer["label"])


def figures(answer: Answer) -> dict[str, str]:
    """How sure the model is."""
    return {"Confidence": percent(answer["score"])}


def draw(answer: Answer, card: Card) -> None:  # noqa: ARG001 - every task's signature
    """The likeliest labels."""
    choices = [{"name": choice["label"], "share": choice["score"]} for choice in answer["top"]]
    charts.draw(charts.shares(choices), f"The {len(choices)} most likely labels")
    if answer.get("unfamiliar"):
        st.warning("This is unlike the rows that the model has learnt from: none of its labels may fit.")


def agreement(answer: Answer) -> Truth | None:
    """Its label."""
    return {"label": answer["label"]}


def correction(answer: Answer, card: Card, correct_marks: CorrectMarks) -> Truth | None:  # noqa: ARG001 - every task's signature
    """One of the other labels."""
    others = [label for label in card["target"]["labels"] if label != answer["label"]]
    right = st.selectbox("What would be right?", others, index=None, placeholder="Choose a label")
    return None if right is None else {"label": right}


def describe(truth: Truth, card: Card) -> str:  # noqa: ARG001 - every task's signature
    """The label."""
    return str(truth["label"])


# ---- what the model takes for what


def mistakes(metrics: Mapping[str, Any]) -> None:
    """The confusion matrix, the pairs that are confused most, and the calibration."""
    labels, confusion = metrics["detail"]["labels"], metrics["detail"]["confusion"]
    st.markdown("**What is taken for what**")
    few = f" Drawn are the {_MOST_LABELS} labels with the most of them." if len(labels) > _MOST_LABELS else ""
    st.caption(
        f"{counted(metrics['rows'], 'row')} of the {literal(metrics['split'])} split, as trained. In colour: mistakes, "
        f"the fuller the more of the label's rows.{few}"
    )
    _draw_confusion(labels, confusion)
    _list_pairs(labels, confusion)
    st.markdown("**How often it is right, by how sure it is**")
    charts.draw(_calibration_chart(metrics["detail"]["calibration"]), "Accuracy by confidence")
    st.caption("A larger point has more rows. Below the line the model is surer than it should be.")


def _draw_confusion(labels: Sequence[str], confusion: Sequence[Sequence[int]]) -> None:
    """Of the labels with the most mistakes."""
    wrong = [
        sum(confusion[index]) + sum(counts[index] for counts in confusion) - 2 * confusion[index][index]
        for index in range(len(labels))
    ]
    drawn = sorted(sorted(range(len(labels)), key=lambda index: -wrong[index])[:_MOST_LABELS])
    counts = [[confusion[truth][answer] for answer in drawn] for truth in drawn]
    charts.draw(_confusion_chart(counts, [labels[index] for index in drawn]), "Rows by their label and the answer")


def _list_pairs(labels: Sequence[str], confusion: Sequence[Sequence[int]]) -> None:
    pairs = [
        (count, truth, answer)
        for truth, counts in enumerate(confusion)
        for answer, count in enumerate(counts)
        if count and truth != answer
    ]
    if pairs:
        st.table(
            [
                {
                    "rows": f"{count:,} of {sum(confusion[truth]):,}",
                    "of": literal(labels[truth]),
                    "taken for": literal(labels[answer]),
                }
                for count, truth, answer in sorted(pairs, key=lambda pair: -pair[0])[:_MOST_PAIRS]
            ]
        )


def _confusion_chart(counts: Sequence[Sequence[int]], labels: Sequence[str]) -> Any:
    """Rows by [truth, answer]: right ones in grey, mistakes in the accent, the fuller the more of the truth's rows."""
    shares = [[count / max(sum(line), 1) for count in line] for line in counts]
    worst = max((share for at, line in enumerate(shares) for share in (*line[:at], *line[at + 1 :])), default=0) or 1
    cells = [
        {
            "truth": labels[truth],
            "answer": labels[answer],
            "rows": counts[truth][answer],
            "share": share,
            "right": truth == answer,
            "weight": 0.45 * share if truth == answer else 0.25 + 0.75 * share / worst,
        }
        for truth, line in enumerate(shares)
        for answer, share in enumerate(line)
        if share
    ]
    scale = alt.Scale(domain=list(labels), padding=0.06)
    above = charts.name_axis(orient="top", labelAngle=-90, title="answer", labelOverlap="greedy")
    base = alt.Chart(charts.data(cells)).encode(
        x=alt.X("answer:N", scale=scale, axis=above),
        y=alt.Y("truth:N", scale=scale, axis=charts.name_axis(title="truth")),
        tooltip=["truth:N", "answer:N", "rows:Q", alt.Tooltip("share:Q", format=".0%")],
    )
    cell = base.mark_rect(cornerRadius=2).encode(
        color=charts.accent_when("!datum.right"), opacity=alt.Opacity("weight:Q", scale=None, legend=None)
    )
    # a number stands where its cell has room for it, which on a phone few have
    fits = alt.ExprRef(f"width / {len(labels)} < 15 ? 0 : 1")
    ink = alt.condition(
        "!datum.right && datum.weight > 0.8",
        alt.value(charts.theme("backgroundColor")),
        alt.value(charts.theme("textColor")),
    )
    number = base.mark_text(fontSize=10, opacity=fits).encode(text="rows:Q", color=ink)
    return (cell + number).properties(height=alt.Step(19 if len(labels) > 8 else 34))


def _calibration_chart(bins: Sequence[Mapping[str, Any]]) -> Any:
    """`accuracy` of the rows of each `confidence`, larger where there are more `rows`; the line is what it claims."""
    scale, axis = alt.Scale(domain=[0, 1]), alt.Axis(format=".0%", tickCount=5)
    measured = (
        alt.Chart(charts.data(bins))
        .mark_point(filled=True, opacity=0.9, color=charts.accent())
        .encode(
            x=alt.X("confidence:Q", scale=scale, axis=axis, title="how sure it is"),
            y=alt.Y("accuracy:Q", scale=scale, axis=axis, title="how often it is right"),
            size=alt.Size("rows:Q", scale=alt.Scale(range=[20, 300]), legend=None),
            tooltip=["rows:Q", alt.Tooltip("confidence:Q", format=".1%"), alt.Tooltip("accuracy:Q", format=".1%")],
        )
    )
    return (charts.diagonal(0, 1) + measured).properties(height=300)


# ---- the data


def data(facts: Mapping[str, Any]) -> None:
    """The rows of each label."""
    imbalance = f"{facts['imbalance']:.1f}"
    st.markdown("**Rows of each label**")
    st.caption(
        f"{len(facts['labels']):,} labels. "
        + (
            "All labels have about the same number of rows."
            if imbalance == "1.0"
            else f"The largest label has {imbalance} times the rows of the smallest."
        )
    )
    rows = [
        {"name": label, "split": split, "rows": count, "rank": rank}
        for rank, (split, counts) in enumerate(facts["label_counts"].items())
        for label, count in zip(facts["labels"], counts, strict=True)
    ]
    charts.draw(charts.counts(rows, list(facts["label_counts"])), "Rows of each label, by split")
