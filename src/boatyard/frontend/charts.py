"""Charts: one accent colour and greys, on either background. Data is drawn as data, never as markup."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import altair as alt
import streamlit as st

Rows = Sequence[Mapping[str, Any]]

GREY = "#6f8481"
BESIDE = 26  # letters of a name that fit beside its bar
HOURS = 24  # shown at least on a time axis, so that a new server's first hour is not as wide as the chart


def accent() -> str:
    """The one colour that is not a grey."""
    return theme("primaryColor")


def theme(option: str) -> str:
    """The colour from config.toml for the page's current theme."""
    return str(st.get_option(f"theme.{st.context.theme.type or 'light'}.{option}"))


def draw(chart: Any, described: str) -> None:
    """Shows the chart at full width; `described` is its text alternative."""
    plain = (
        chart.configure_view(strokeWidth=0)
        .configure_axis(labelColor=GREY, titleColor=GREY, gridColor=_mixed(GREY, 0.75), labelFontSize=12)
        .configure_legend(labelColor=GREY, labelFontSize=12)
        .properties(padding={"left": 0, "right": 4, "top": 4, "bottom": 4})
    )
    st.altair_chart(plain, width="stretch", alt=described)


def shares(rows: Rows) -> Any:
    """A bar for each `name` by its `share`, the first in the accent."""
    return _bars([{**row, "first": index == 0} for index, row in enumerate(rows)], "share", ".1%", most=1)


def totals(rows: Rows) -> Any:
    """A bar for each `name` by its `count`."""
    return _bars([{**row, "first": False} for row in rows], "count", ",d", most=max(row["count"] for row in rows))


def _bars(rows: Rows, field: str, form: str, most: float) -> Any:
    above = any(len(row["name"]) > BESIDE for row in rows)
    base = alt.Chart(data(rows)).encode(
        x=alt.X(f"{field}:Q", scale=alt.Scale(domain=[0, 1.12 * most]), axis=None),
        y=alt.Y("name:N", sort=in_order(rows), axis=None if above else name_axis()),
        tooltip=["name:N"],
    )
    bar = base.mark_bar(cornerRadiusEnd=4, size=18).encode(color=accent_when("datum.first"))
    number = base.mark_text(align="left", dx=6, fontSize=13, color=GREY)
    drawn = bar + number.encode(text=alt.Text(f"{field}:Q", format=form))
    if above:
        name = base.mark_text(align="left", dy=-18, fontSize=12, color=GREY, limit=alt.ExprRef("width"))
        drawn += name.encode(x=alt.value(0), text="name:N")
    return drawn.properties(height=alt.Step(48 if above else 30))


def effects(rows: Rows) -> Any:
    """A bar for each `name` from 0 to its `effect`, those above 0 in the accent."""
    axis = alt.Axis(title=None, tickCount=5, format="+,.4~r", labelOverlap=True)
    return (
        alt.Chart(data(rows))
        .mark_bar(cornerRadiusEnd=4, size=18)
        .encode(
            x=alt.X("effect:Q", axis=axis),
            y=alt.Y("name:N", sort=in_order(rows), axis=name_axis()),
            color=accent_when("datum.effect > 0"),
            tooltip=["name:N", alt.Tooltip("effect:Q", format="+,.4~r")],
        )
        .properties(height=alt.Step(30))
    )


def intervals(rows: Rows, title: str, among: Sequence[float] = ()) -> Any:
    """`value` of each `name` from `low` to `high`, where these are known; those `chosen` in the accent.

    `among`: numbers that are marked beside them, which the axis spans as well.
    """
    base = alt.Chart(data(rows)).encode(
        y=alt.Y("name:N", sort=in_order(rows), axis=name_axis()), color=accent_when("datum.chosen")
    )
    ends = [row[end] for row in rows for end in ("low", "value", "high") if row[end] is not None]
    span = [min([*among, *ends]), max([*among, *ends])] if among else alt.Undefined
    axis = alt.Axis(title=title, tickCount=6, labelOverlap=True, grid=not among)
    scale = alt.Scale(zero=False, padding=12, domain=span)
    interval = base.mark_rule(strokeWidth=3, opacity=0.45).encode(x=alt.X("low:Q", scale=scale, axis=axis), x2="high:Q")
    point = base.mark_point(filled=True, size=120, opacity=1).encode(
        x="value:Q", tooltip=["name:N", "value:Q", "low:Q", "high:Q"]
    )
    mark = alt.Chart(data([{"at": at} for at in among])).mark_rule(color=GREY, opacity=0.4).encode(x="at:Q")
    return (mark + interval + point if among else interval + point).properties(height=alt.Step(30))


def diagonal(low: float, high: float) -> Any:
    """The line on which x and y are the same, from `low` to `high`, to lay a chart over."""
    ends = [{"x": end, "y": end} for end in (low, high)]
    return alt.Chart(data(ends)).mark_line(strokeDash=[4, 3], color=GREY, strokeWidth=1).encode(x="x:Q", y="y:Q")


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
    limit = alt.Axis(
        title=None, values=[1], labelExpr="'threshold'", orient="top", grid=False, ticks=False, domain=False
    )
    bars = (
        alt.Chart(data(rows))
        .mark_bar(cornerRadiusEnd=4, size=14)
        .encode(
            x=alt.X("share:Q", scale=alt.Scale(domain=[0, 3]), axis=limit),
            y=alt.Y("name:N", sort="-x", axis=name_axis()),
            color=accent_when("datum.drifted"),
        )
    )
    line = alt.Chart(data([{"line": 1}])).mark_rule(strokeDash=[4, 3], color=GREY).encode(x="line:Q")
    return (bars + line).properties(height=alt.Step(26))


def reports(rows: Rows) -> Any:
    """How many columns `drifted` at each `time`; alarms in the accent."""
    most = max(row["drifted"] for row in rows)
    base = alt.Chart(data(rows)).encode(
        x=_time_axis("time", [row["time"] for row in rows]),
        y=alt.Y(
            "drifted:Q",
            scale=alt.Scale(domain=[0, max(most, 2)]),
            axis=alt.Axis(title="drifted", tickMinStep=1, tickCount=4, format="d"),
        ),
        color=accent_when("datum.alarm"),
    )
    stem = base.mark_rule(strokeWidth=2).encode(y2=alt.Y2Datum(0))
    return (stem + base.mark_point(filled=True, size=90, opacity=1)).properties(height=170)


def volume(rows: Rows) -> Any:
    """`count` in each `hour`."""
    return (
        alt.Chart(data(rows))
        .mark_bar(color=accent(), binSpacing=0)
        .encode(
            x=hour_axis(rows),
            y=alt.Y("count:Q", axis=alt.Axis(title="predictions", tickCount=4, tickMinStep=1)),
            tooltip=["hour:T", "count:Q"],
        )
        .properties(height=150)
    )


def shares_over_time(rows: Rows, order: Sequence[str], others: str) -> Any:
    """The share of `count` in each `hour`, stacked by `name` in that order; `others` in grey."""
    shown = [name for name in order if name != others]
    long = any(len(name) > BESIDE for name in order)
    legend = alt.Legend(
        title=None, orient="bottom", columns=1 if long else 2, labelLimit=300 if long else 150, padding=0
    )
    shades = [*_shades(len(shown)), *([_mixed(GREY, 0.45)] if others in order else [])]
    return (
        alt.Chart(data(rows))
        .mark_bar(binSpacing=0)
        .encode(
            x=hour_axis(rows),
            y=alt.Y("sum(count):Q", stack="normalize", axis=alt.Axis(title=None, format="%", tickCount=4)),
            color=alt.Color("name:N", scale=alt.Scale(domain=list(order), range=shades), legend=legend),
            order=alt.Order("rank:Q"),
            tooltip=["name:N", "count:Q"],
        )
        .properties(height=300)
    )


def counts(rows: Rows, splits: Sequence[str]) -> Any:
    """`rows` of each `name`, stacked by `split`."""
    scale = alt.Scale(domain=list(splits), range=_shades(len(splits)))
    return (
        alt.Chart(data(rows))
        .mark_bar()
        .encode(
            x=alt.X("sum(rows):Q", axis=alt.Axis(title="rows", tickCount=5, tickMinStep=1)),
            y=alt.Y("name:N", sort="-x", axis=name_axis()),
            color=alt.Color("split:N", scale=scale, legend=alt.Legend(title=None, orient="top", offset=4, padding=0)),
            order=alt.Order("rank:Q"),
            tooltip=["name:N", "split:N", "rows:Q"],
        )
        .properties(height=alt.Step(20))
    )


def places(rows: Rows) -> Any:
    """A point for each row at `x`, `y`, coloured by its `kind`, with its `name`; distances are the same both ways."""
    xs, ys = ([row[axis] for row in rows] for axis in ("x", "y"))
    half = max(max(xs) - min(xs), max(ys) - min(ys), 1e-9) * 0.53
    x, y = (
        alt.Scale(domain=[(min(each) + max(each)) / 2 - half, (min(each) + max(each)) / 2 + half]) for each in (xs, ys)
    )
    return (
        alt.Chart(data(rows))
        .mark_circle(size=45, opacity=0.75)
        .encode(
            x=alt.X("x:Q", scale=x, axis=None),
            y=alt.Y("y:Q", scale=y, axis=None),
            color=alt.Color("kind:N", legend=alt.Legend(title=None, orient="bottom", labelLimit=150, symbolLimit=12)),
            tooltip=["name:N", "kind:N"],
        )
        .properties(height=420)
    )


def tint(colour: str, share: float) -> str:
    """The colour, so far from transparent, to lie behind text."""
    return f"{colour}{round(255 * share):02x}"


def in_order(rows: Rows) -> list[str]:
    """The names as the rows have them.

    Spelled out, since a chart that is drawn again with other rows keeps the places of the names that it had.
    """
    return list(dict.fromkeys(row["name"] for row in rows))


def name_axis(**axis: Any) -> Any:
    """An axis of names."""
    plain = {"ticks": False, "domain": False, "labelLimit": 170, "labelOverlap": False, "labelFlush": False}
    return alt.Axis(**{"title": None, **plain, **axis})


def data(rows: Rows) -> Any:
    """Rows in Vega-Lite's form."""
    return alt.Data(values=rows)  # type: ignore[no-untyped-call]


def accent_when(test: str) -> Any:
    """The accent for rows that pass, grey for the others."""
    return alt.condition(test, alt.value(accent()), alt.value(GREY))


def hour_axis(rows: Rows, **channel: Any) -> Any:
    """An axis on which each `hour` has its width."""
    return _time_axis("hour", [row["hour"] for row in rows], timeUnit="utcyearmonthdatehours", **channel)


def _time_axis(field: str, times: Sequence[str], **channel: Any) -> Any:
    """An axis of time, in UTC as the tables are."""
    first, last = (datetime.fromisoformat(time) for time in (min(times), max(times)))
    first = min(first, last - timedelta(hours=HOURS))
    # a day's hours, or days
    format_ = "%d %b" if last - first > timedelta(days=3) else "%d %b %H:%M"
    axis = alt.Axis(title=None, grid=False, format=format_, tickCount=4, labelOverlap=True)
    domain = [first.isoformat(), (last + timedelta(hours=1)).isoformat()]
    return alt.X(f"{field}:T", scale=alt.Scale(type="utc", domain=domain), axis=axis, **channel)


def _shades(number: int) -> list[str]:
    """From the accent towards the page's ground, each apart from the next."""
    return [_mixed(accent(), 0.65 * index / max(number - 1, 1)) for index in range(number)]


def _mixed(colour: str, share: float) -> str:
    """The colour with so much of the page's ground in it."""
    pairs = zip(_channels(colour), _channels(theme("backgroundColor")), strict=True)
    return "#{:02x}{:02x}{:02x}".format(*(round(one + (other - one) * share) for one, other in pairs))


def _channels(colour: str) -> list[int]:
    return [int(colour[at : at + 2], 16) for at in (1, 3, 5)]
