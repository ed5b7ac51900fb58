"""How numbers are shown and corrected."""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import streamlit as st

from boatyard.config.plurals import counted
from boatyard.frontend import charts
from boatyard.frontend.protocol import Answer, Card, CorrectMarks, Truth
from boatyard.frontend.showing import literal, number
from boatyard.frontend.task_page import marks, options  # noqa: F401 - the page's own, too


def summary(card: Card) -> str:
    """One number, and its unit."""
    unit = card["target"].get("unit")
    return f"One number in {unit}" if unit else "One number"


def headline(answer: Answer) -> str:
    """The number with its unit."""
    return _with_unit(number(answer["value"]), answer["unit"])


def figures(answer: Answer) -> dict[str, str]:
    """The interval."""
    return {f"{answer['level']:.0%} interval": f"{number(answer['low'])} to {number(answer['high'])}"}


def draw(answer: Answer, card: Card) -> None:
    """The number in its interval, on the scale of the targets that the model has learnt from."""
    row = {"name": "", "value": answer["value"], "low": answer["low"], "high": answer["high"], "chosen": True}
    charts.draw(
        charts.intervals([row], answer["unit"] or "", among=card["target"]["buckets"]),
        f"{headline(answer)}, between {number(answer['low'])} and {number(answer['high'])}",
    )
    st.caption(
        f"For rows like its training data, the interval contains the truth {answer['level']:.0%} of the time. Between "
        "two marks lies a tenth of the numbers that it has learnt from."
    )


def agreement(answer: Answer) -> Truth | None:  # noqa: ARG001 - every task's signature
    """None: nobody knows a number to its last digit by looking at the model's."""
    return None


def correction(answer: Answer, card: Card, correct_marks: CorrectMarks) -> Truth | None:  # noqa: ARG001 - every task's signature
    """A number that is typed."""
    unit = card["target"].get("unit")
    name = f"What would be right, in {literal(unit)}?" if unit else "What would be right?"
    value = st.number_input(name, value=None, key=f"truth-of-{answer['id']}", format="%g", placeholder="A number")
    return None if value is None else {"value": value}


def describe(truth: Truth, card: Card) -> str:
    """The number as it was typed, with its unit."""
    return _with_unit(f"{truth['value']:,.15g}", card["target"].get("unit"))


def _with_unit(value: str, unit: str | None) -> str:
    return f"{value} {unit}" if unit else value


# ---- how far off it is


def mistakes(metrics: Mapping[str, Any]) -> None:
    """Answers against truths, and the error by the size of the truth.

    Of the detail: `points`, some rows with their `truth` and `value`; `ranges` of the truth from `low` to `high`, with
    their `rows`, `mean_absolute_error`, `mean_error` (of value - truth) and `interval_coverage`.
    """
    detail = metrics["detail"]
    st.markdown("**Answers against truths**")
    charts.draw(_scatter(detail["points"]), "Each answer against its truth")
    st.caption(
        f"{counted(metrics['rows'], 'row')} of the {literal(metrics['split'])} split, as trained, of which "
        f"{len(detail['points']):,} {'is' if len(detail['points']) == 1 else 'are'} drawn. "
        "On the line an answer is right."
    )
    st.markdown("**Error, by the truth**")
    st.table(
        [
            {
                "truth": f"{number(part['low'])} to {number(part['high'])}",
                "rows": f"{part['rows']:,}",
                "mean absolute error": number(part["mean_absolute_error"]),
                "mean error": number(part["mean_error"]),
                "in the interval": f"{part['interval_coverage']:.1%}",
            }
            for part in detail["ranges"]
        ]
    )
    st.caption("A mean error above 0: the model answers with too much there.")


def _scatter(points: Sequence[Mapping[str, float]]) -> Any:
    """`value` of each `truth`."""
    ends = [point[end] for point in points for end in ("truth", "value")]
    scale, axis = alt.Scale(zero=False, nice=True), alt.Axis(tickCount=5)
    answered = (
        alt.Chart(charts.data(points))
        .mark_point(filled=True, opacity=0.5, size=30, color=charts.accent())
        .encode(
            x=alt.X("truth:Q", scale=scale, axis=axis, title="truth"),
            y=alt.Y("value:Q", scale=scale, axis=axis, title="answer"),
            tooltip=["truth:Q", "value:Q"],
        )
    )
    return (charts.diagonal(min(ends), max(ends)) + answered).properties(height=300)


# ---- the data


def data(facts: Mapping[str, Any]) -> None:
    """How the targets are spread: of `targets`, by split, percentiles by name, or None where the split has no row."""
    st.markdown("**Targets**")
    st.table(
        [
            {"split": split, **{name: number(value) for name, value in points.items()}}
            for split, points in facts["targets"].items()
            if points
        ]
    )
