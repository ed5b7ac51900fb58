"""The charts: one accent colour and greys, on either background. Data is drawn as data, never as markup."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import altair as alt
import streamlit as st

Rows = Sequence[dict[str, Any]]

GREY = "#6f8481"
BESIDE = 26  # letters of a name that there is room for beside its bar
HOURS = 24  # that an axis of time shows at least: of a new server's first hour a bar is as wide as later


def accent() -> str:
    """The one colour that is not a grey."""
    return theme("primaryColor")


def theme(option: str) -> str:
    """What config.toml states for the mode that the page is shown in."""
    return str(st.get_option(f"theme.{st.context.theme.type or 'light'}.{option}"))


def draw(chart: Any, described: str) -> None:
    """Shows it as wide as there is room; `described` is for who cannot see it."""
    plain = (
        chart.configure_view(strokeWidth=0)
        .configure_axis(labelColor=GREY, titleColor=GREY, gridColor=_mixed(GREY, 0.75), labelFontSize=12)
        .configure_legend(labelColor=GREY, labelFontSize=12)
        .properties(padding={"left": 0, "right": 4, "top": 4, "bottom": 4})
    )
    st.altair_chart(plain, width="stretch", alt=described)


def choices(top: Rows) -> Any:
    """A bar for each `label` by its `score`, the first in the accent."""
    return _bars([{**choice, "first": index == 0} for index, choice in enumerate(top)], "score", ".1%", most=1)


def totals(rows: Rows) -> Any:
    """A bar for each `label` by its `count`."""
    return _bars([{**row, "first": False} for row in rows], "count", ",d", most=max(row["count"] for row in rows))


def _bars(rows: Rows, field: str, form: str, most: float) -> Any:
    above = any(len(row["label"]) > BESIDE for row in rows)
    base = alt.Chart(_data(rows)).encode(
        x=alt.X(f"{field}:Q", scale=alt.Scale(domain=[0, 1.12 * most]), axis=None),
        y=alt.Y("label:N", sort=None, axis=None if above else _names()),
        tooltip=["label:N"],
    )
    bar = base.mark_bar(cornerRadiusEnd=4, size=18).encode(color=_when("datum.first"))
    number = base.mark_text(align="left", dx=6, fontSize=13, color=GREY)
    drawn = bar + number.encode(text=alt.Text(f"{field}:Q", format=form))
    if above:
        name = base.mark_text(align="left", dy=-18, fontSize=12, color=GREY, limit=alt.ExprRef("width"))
        drawn += name.encode(x=alt.value(0), text="label:N")
    return drawn.properties(height=alt.Step(48 if above else 30))


def accuracies(rows: Rows) -> Any:
    """`accuracy` of each `version` from `low` to `high`; those `chosen` in the accent."""
    base = alt.Chart(_data(rows)).encode(
        y=alt.Y("version:N", sort=None, axis=_names()),
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
    return (interval + point).properties(height=alt.Step(30))


def distances(verdicts: Rows) -> Any:
    """`value` of each `name` as a share of its `threshold`, up to 3; those that `drifted` in the accent."""
    rows = [
        {
            "name": verdict["name"].replace("_", " "),
            "drifted": verdict["drifted"],
            "share": min(max(verdict["value"] / verdict["threshold"], 0.0), 3.0),
        }
        for verdict in verdicts
    ]
    limit = alt.Axis(
        title=None, values=[1], labelExpr="'threshold'", orient="top", grid=False, ticks=False, domain=False
    )
    bars = (
        alt.Chart(_data(rows))
        .mark_bar(cornerRadiusEnd=4, size=14)
        .encode(
            x=alt.X("share:Q", scale=alt.Scale(domain=[0, 3]), axis=limit),
            y=alt.Y("name:N", sort="-x", axis=_names()),
            color=_when("datum.drifted"),
        )
    )
    line = alt.Chart(_data([{"line": 1}])).mark_rule(strokeDash=[4, 3], color=GREY).encode(x="line:Q")
    return (bars + line).properties(height=alt.Step(26))


def reports(rows: Rows) -> Any:
    """How many columns `drifted` at each `time`; alarms in the accent."""
    most = max(row["drifted"] for row in rows)
    base = alt.Chart(_data(rows)).encode(
        x=_times("time", [row["time"] for row in rows]),
        y=alt.Y(
            "drifted:Q",
            scale=alt.Scale(domain=[0, max(most, 2)]),
            axis=alt.Axis(title="drifted", tickMinStep=1, tickCount=4, format="d"),
        ),
        color=_when("datum.alarm"),
    )
    stem = base.mark_rule(strokeWidth=2).encode(y2=alt.Y2Datum(0))
    return (stem + base.mark_point(filled=True, size=90, opacity=1)).properties(height=170)


def over_time(rows: Rows, order: Sequence[str], others: str) -> Any:
    """`count` in each `hour`, stacked by `label` in that order; `others` in grey."""
    shown = [label for label in order if label != others]
    long = any(len(label) > BESIDE for label in order)
    shades = [*_shades(len(shown)), *([_mixed(GREY, 0.45)] if others in order else [])]
    return (
        alt.Chart(_data(rows))
        .mark_bar()
        .encode(
            x=_times("hour", [row["hour"] for row in rows], timeUnit="utcyearmonthdatehours"),
            y=alt.Y("sum(count):Q", axis=alt.Axis(title="predictions", tickCount=4, tickMinStep=1)),
            color=alt.Color(
                "label:N",
                scale=alt.Scale(domain=list(order), range=shades),
                legend=alt.Legend(
                    title=None,
                    orient="bottom",
                    columns=1 if long else 2,
                    labelLimit=300 if long else 150,
                    padding=0,
                ),
            ),
            order=alt.Order("rank:Q"),
            tooltip=["label:N", "count:Q"],
        )
        .properties(height=300)
    )


def confusion(counted: Sequence[Sequence[int]], labels: Sequence[str]) -> Any:
    """Rows by [truth, answer]: right ones in grey, mistakes in the accent, the fuller the more of the truth's rows."""
    shares = [[count / max(sum(line), 1) for count in line] for line in counted]
    worst = max((share for at, line in enumerate(shares) for share in (*line[:at], *line[at + 1 :])), default=0) or 1
    rows = [
        {
            "truth": labels[truth],
            "answer": labels[answer],
            "rows": counted[truth][answer],
            "share": share,
            "right": truth == answer,
            "weight": 0.45 * share if truth == answer else 0.25 + 0.75 * share / worst,
        }
        for truth, line in enumerate(shares)
        for answer, share in enumerate(line)
        if share
    ]
    scale = alt.Scale(domain=list(labels), padding=0.06)
    above = _names(orient="top", labelAngle=-90, title="answer", labelOverlap="greedy")
    base = alt.Chart(_data(rows)).encode(
        x=alt.X("answer:N", scale=scale, axis=above),
        y=alt.Y("truth:N", scale=scale, axis=_names(title="truth")),
        tooltip=["truth:N", "answer:N", "rows:Q", alt.Tooltip("share:Q", format=".0%")],
    )
    cell = base.mark_rect(cornerRadius=2).encode(
        color=_when("!datum.right"), opacity=alt.Opacity("weight:Q", scale=None, legend=None)
    )
    # a number stands where its cell has room for it, which on a phone few have
    fits = alt.ExprRef(f"width / {len(labels)} < 15 ? 0 : 1")
    ink = alt.condition(
        "!datum.right && datum.weight > 0.8", alt.value(theme("backgroundColor")), alt.value(theme("textColor"))
    )
    number = base.mark_text(fontSize=10, opacity=fits).encode(text="rows:Q", color=ink)
    return (cell + number).properties(height=alt.Step(19 if len(labels) > 8 else 34))


def calibration(bins: Rows) -> Any:
    """`accuracy` of the rows of each `confidence`, larger where there are more `rows`; the line is what it claims."""
    scale, axis = alt.Scale(domain=[0, 1]), alt.Axis(format=".0%", tickCount=5)
    claimed = (
        alt.Chart(_data([{"x": 0, "y": 0}, {"x": 1, "y": 1}]))
        .mark_line(strokeDash=[4, 3], color=GREY, strokeWidth=1)
        .encode(x="x:Q", y="y:Q")
    )
    seen = (
        alt.Chart(_data(bins))
        .mark_point(filled=True, opacity=0.9, color=accent())
        .encode(
            x=alt.X("confidence:Q", scale=scale, axis=axis, title="how sure it is"),
            y=alt.Y("accuracy:Q", scale=scale, axis=axis, title="how often it is right"),
            size=alt.Size("rows:Q", scale=alt.Scale(range=[20, 300]), legend=None),
            tooltip=["rows:Q", alt.Tooltip("confidence:Q", format=".1%"), alt.Tooltip("accuracy:Q", format=".1%")],
        )
    )
    return (claimed + seen).properties(height=300)


def counts(rows: Rows, splits: Sequence[str]) -> Any:
    """`rows` of each `label`, stacked by `split`."""
    scale = alt.Scale(domain=list(splits), range=_shades(len(splits)))
    return (
        alt.Chart(_data(rows))
        .mark_bar()
        .encode(
            x=alt.X("sum(rows):Q", axis=alt.Axis(title="rows", tickCount=5, tickMinStep=1)),
            y=alt.Y("label:N", sort="-x", axis=_names()),
            color=alt.Color("split:N", scale=scale, legend=alt.Legend(title=None, orient="top", offset=4, padding=0)),
            order=alt.Order("rank:Q"),
            tooltip=["label:N", "split:N", "rows:Q"],
        )
        .properties(height=alt.Step(20))
    )


def _names(**given: Any) -> Any:
    plain = {"ticks": False, "domain": False, "labelLimit": 170, "labelOverlap": False, "labelFlush": False}
    return alt.Axis(**{"title": None, **plain, **given})


def _data(rows: Rows) -> Any:
    return alt.Data(values=rows)  # type: ignore[no-untyped-call]


def _when(test: str) -> Any:
    return alt.condition(test, alt.value(accent()), alt.value(GREY))


def _times(field: str, times: Sequence[str], **given: Any) -> Any:
    """An axis of time, in UTC as the tables are."""
    first, last = (datetime.fromisoformat(time) for time in (min(times), max(times)))
    first = min(first, last - timedelta(hours=HOURS))
    # a day's hours, or days
    format_ = "%d %b" if last - first > timedelta(days=3) else "%d %b %H:%M"
    axis = alt.Axis(title=None, grid=False, format=format_, tickCount=4, labelOverlap=True)
    domain = [first.isoformat(), (last + timedelta(hours=1)).isoformat()]
    return alt.X(f"{field}:T", scale=alt.Scale(type="utc", domain=domain), axis=axis, **given)


def _shades(number: int) -> list[str]:
    """From the accent towards the page's ground, each apart from the next."""
    return [_mixed(accent(), 0.65 * index / max(number - 1, 1)) for index in range(number)]


def _mixed(colour: str, share: float) -> str:
    """The colour with so much of the page's ground in it."""
    pairs = zip(_channels(colour), _channels(theme("backgroundColor")), strict=True)
    return "#{:02x}{:02x}{:02x}".format(*(round(one + (other - one) * share) for one, other in pairs))


def _channels(colour: str) -> list[int]:
    return [int(colour[at : at + 2], 16) for at in (1, 3, 5)]
