"""Charts of a column's values: in the reference and now, or hour by hour."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import altair as alt

from boatyard.frontend import charts

MISSING = "missing"
_HEIGHT = 110
_MOST_LETTERS = 40


def spread(shares: Mapping[str, Any]) -> Any:
    """A drift report's `spread`: what was in grey, what is now in the accent."""
    return _categories(shares) if shares["categories"] else _numbers(shares)


def by_hour(rows: charts.Rows) -> Any:
    """In each `hour`: a line from `p5` to `p95`, a bar from `p25` to `p75`, and a point at the median `p50`."""
    scale, axis = alt.Scale(zero=False, padding=6), alt.Axis(title=None, tickCount=4, format=",.6~r")
    base = alt.Chart(charts.data(rows)).encode(
        x=charts.hour_axis(rows, bandPosition=0.5),
        tooltip=[alt.Tooltip(f"{share}:Q", format=",.4~r") for share in ("p5", "p25", "p50", "p75", "p95")],
    )
    most = base.mark_rule(color=charts.GREY, opacity=0.5).encode(y=alt.Y("p5:Q", scale=scale, axis=axis), y2="p95:Q")
    half = base.mark_bar(color=charts.GREY, opacity=0.5).encode(x=charts.hour_axis(rows), y="p25:Q", y2="p75:Q")
    median = base.mark_point(filled=True, size=25, opacity=1, color=charts.accent()).encode(y="p50:Q")
    return (most + half + median).properties(height=200)


def _numbers(shares: Mapping[str, Any]) -> Any:
    """Bars for what was, and a line in steps for what is now."""
    bins = [
        {"low": low, "high": high, "before": before, "now": now}
        for (low, high), before, now in zip(
            pairwise(shares["edges"]), shares["reference"], shares["window"], strict=True
        )
    ]
    scale = alt.Scale(domain=[shares["edges"][0], shares["edges"][-1]], nice=False, zero=False)
    share = alt.Axis(title=None, format="%", tickCount=3)
    axis = alt.Axis(title=None, grid=False, tickCount=6)
    before = (
        alt.Chart(charts.data(bins))
        .mark_bar(color=charts.GREY, opacity=0.45, binSpacing=1)
        .encode(
            x=alt.X("low:Q", scale=scale, axis=axis, bin="binned"),
            x2="high:Q",
            y=alt.Y("before:Q", axis=share),
            tooltip=_tooltip("low:Q", "high:Q"),
        )
    )
    steps = [{"x": each["low"], "now": each["now"]} for each in bins] + [
        {"x": bins[-1]["high"], "now": bins[-1]["now"]}
    ]
    now = (
        alt.Chart(charts.data(steps))
        .mark_line(color=charts.accent(), interpolate="step-after", strokeWidth=2)
        .encode(x=alt.X("x:Q", scale=scale), y="now:Q")
    )
    return (before + now).properties(height=_HEIGHT)


def _categories(shares: Mapping[str, Any]) -> Any:
    """Bars for what was, and a mark for what is now."""
    names = [category[:_MOST_LETTERS] or MISSING for category in shares["categories"]]
    rows = [
        {"name": name, "before": before, "now": now}
        for name, before, now in zip(names, shares["reference"], shares["window"], strict=True)
    ]
    axis = alt.Axis(title=None, format="%", tickCount=4)
    base = alt.Chart(charts.data(rows)).encode(
        y=alt.Y("name:N", sort=charts.in_order(rows), axis=charts.name_axis()), tooltip=_tooltip("name:N")
    )
    before = base.mark_bar(color=charts.GREY, opacity=0.45, size=12).encode(x=alt.X("before:Q", axis=axis))
    now = base.mark_tick(color=charts.accent(), thickness=3, size=16).encode(x="now:Q")
    return (before + now).properties(height=alt.Step(20))


def _tooltip(*fields: str) -> Sequence[Any]:
    return [*fields, alt.Tooltip("before:Q", format=".1%"), alt.Tooltip("now:Q", format=".1%")]
