"""The charts: one accent colour and greys, on either background. Data is drawn as data, never as markup."""

from collections.abc import Sequence
from typing import Any

import altair as alt
import streamlit as st

Rows = Sequence[dict[str, Any]]

GREY = "#6f8481"
ROW = 34  # pixels of a bar and the space around it
_NAMES = alt.Axis(title=None, ticks=False, domain=False, labelLimit=220, labelOverlap=False)


def accent() -> str:
    """The theme's, which config.toml states."""
    theme = st.context.theme.type or "light"
    return str(st.get_option(f"theme.{theme}.primaryColor"))


def draw(chart: Any, described: str) -> None:
    """Shows it as wide as there is room; `described` is for who cannot see it."""
    plain = chart.configure_view(strokeWidth=0).configure_axis(labelColor=GREY, titleColor=GREY, labelFontSize=12)
    st.altair_chart(plain, width="stretch", alt=described)


def choices(top: Rows) -> Any:
    """A bar for each `label` by its `score`, the first in the accent."""
    rows = [{**choice, "first": index == 0} for index, choice in enumerate(top)]
    base = alt.Chart(_data(rows)).encode(
        x=alt.X("score:Q", scale=alt.Scale(domain=[0, 1.12]), axis=None),
        y=alt.Y("label:N", sort=None, axis=_NAMES),
    )
    bar = base.mark_bar(cornerRadiusEnd=4, size=18).encode(color=_when("datum.first"))
    share = base.mark_text(align="left", dx=6, fontSize=13, color=GREY).encode(text=alt.Text("score:Q", format=".1%"))
    return (bar + share).properties(height=ROW * len(rows))


def accuracies(rows: Rows) -> Any:
    """`accuracy` of each `version` from `low` to `high`; those `chosen` in the accent."""
    base = alt.Chart(_data(rows)).encode(
        y=alt.Y("version:N", sort=None, axis=_NAMES),
        color=_when("datum.chosen"),
    )
    scale = alt.Scale(zero=False, padding=12)
    interval = base.mark_rule(strokeWidth=3, opacity=0.45).encode(
        x=alt.X(
            "low:Q", scale=scale, axis=alt.Axis(title="accuracy, with its 95% interval", format=".0%", tickCount=6)
        ),
        x2="high:Q",
    )
    point = base.mark_point(filled=True, size=120, opacity=1).encode(x="accuracy:Q")
    return (interval + point).properties(height=ROW * len(rows) + 40)


def distances(verdicts: Rows) -> Any:
    """`value` of each `name` as a share of its `threshold`, up to 3; those that `drifted` in the accent."""
    rows = [
        {
            "name": verdict["name"],
            "drifted": verdict["drifted"],
            "share": min(max(verdict["value"] / verdict["threshold"], 0.0), 3.0),
        }
        for verdict in verdicts
    ]
    bars = (
        alt.Chart(_data(rows))
        .mark_bar(cornerRadiusEnd=4, size=14)
        .encode(
            x=alt.X("share:Q", scale=alt.Scale(domain=[0, 3]), axis=None),
            y=alt.Y("name:N", sort="-x", axis=_NAMES),
            color=_when("datum.drifted"),
        )
    )
    line = alt.Chart(_data([{"line": 1}])).mark_rule(strokeDash=[4, 3], color=GREY).encode(x="line:Q")
    return (bars + line).properties(height=26 * len(rows))


def alarms(rows: Rows) -> Any:
    """How many columns `drifted` at each `time`; alarms in the accent."""
    return (
        alt.Chart(_data(rows))
        .mark_bar(cornerRadiusEnd=3, size=10)
        .encode(
            x=alt.X("time:T", axis=alt.Axis(title=None, grid=False, tickCount=6)),
            y=alt.Y("drifted:Q", axis=alt.Axis(title="drifted", tickMinStep=1, tickCount=4)),
            color=_when("datum.alarm"),
            tooltip=[alt.Tooltip("time:T", format="%Y-%m-%d %H:%M"), "drifted:Q", "columns:N"],
        )
        .properties(height=200)
    )


def over_time(rows: Rows, order: Sequence[str]) -> Any:
    """`count` in each `hour`, stacked by `label` in that order."""
    shades = alt.Scale(domain=list(order), range=_shades(len(order)))
    return (
        alt.Chart(_data(rows))
        .mark_bar()
        .encode(
            x=alt.X(
                "hour:T", timeUnit="yearmonthdatehours", axis=alt.Axis(title=None, grid=False, format="%d %b %H:00")
            ),
            y=alt.Y("sum(count):Q", axis=alt.Axis(title="predictions", tickCount=4)),
            color=alt.Color("label:N", scale=shades, legend=alt.Legend(title=None, orient="bottom", columns=2)),
            order=alt.Order("rank:Q"),
            tooltip=[alt.Tooltip("hour:T", format="%Y-%m-%d %H:00"), "label:N", "count:Q"],
        )
        .properties(height=360)
    )


def counts(rows: Rows, splits: Sequence[str]) -> Any:
    """`rows` of each `label`, stacked by `split`."""
    labels = len({row["label"] for row in rows})
    scale = alt.Scale(domain=list(splits), range=_shades(len(splits)))
    return (
        alt.Chart(_data(rows))
        .mark_bar()
        .encode(
            x=alt.X("sum(rows):Q", axis=alt.Axis(title="rows", tickCount=5)),
            y=alt.Y("label:N", sort="-x", axis=_NAMES),
            color=alt.Color("split:N", scale=scale, legend=alt.Legend(title=None, orient="top")),
            order=alt.Order("rank:Q"),
            tooltip=["label:N", "split:N", "rows:Q"],
        )
        .properties(height=20 * labels + 60)
    )


def _data(rows: Rows) -> Any:
    return alt.Data(values=rows)  # type: ignore[no-untyped-call]


def _when(test: str) -> Any:
    return alt.condition(test, alt.value(accent()), alt.value(GREY))


def _shades(number: int) -> list[str]:
    """From the accent to grey, each apart from the next."""
    first, last = (_channels(colour) for colour in (accent(), "#d5dedc"))
    steps = [index / max(number - 1, 1) for index in range(number)]
    mixed = ([round(a + (b - a) * step) for a, b in zip(first, last, strict=True)] for step in steps)
    return ["#{:02x}{:02x}{:02x}".format(*channels) for channels in mixed]


def _channels(colour: str) -> list[int]:
    return [int(colour[at : at + 2], 16) for at in (1, 3, 5)]
