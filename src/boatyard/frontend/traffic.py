"""What is answered, how fast, and how good the answers are."""

from math import inf
from typing import Any

import streamlit as st

from boatyard.frontend import charts, column_charts
from boatyard.frontend.exposition import Buckets, Traffic, counts, read_traffic
from boatyard.frontend.services import Service, Trouble
from boatyard.frontend.showing import explain, figures, judged, literal, live, number, percent, underway
from boatyard.frontend.watched import advised, say_if_another

MOST_CATEGORIES = 5  # shades that an eye tells apart; the others are drawn as one
OTHERS = "all others"
WAIT_SECONDS = 3
JOURNAL = "All servers, by the journal"
PROBES = ("/healthz", "/readyz", "/metrics")


def show(api: Service, monitor: Service) -> None:
    """The page: each half stands where the other's service is down."""
    st.title("Traffic")
    st.subheader("This server, since it started")
    traffic = Traffic()
    try:
        traffic = read_traffic(api.read("/metrics").decode(errors="replace"))
        _server(traffic)
    except Trouble as trouble:
        explain(trouble)
    except ValueError:
        st.error("What the api answers at /metrics cannot be read.", icon=":material/error:")
    try:
        statistics = monitor.get("/statistics")
    except Trouble as trouble:
        st.subheader(JOURNAL)
        explain(advised(trouble, api))
        return
    st.subheader(f"{JOURNAL}: {literal(statistics['model'])}")
    say_if_another(api, statistics["model"])
    if late := underway(traffic):
        st.caption(late)
    if statistics["rows"]:
        _journal(statistics)
    else:
        st.fragment(_wait, run_every=WAIT_SECONDS if late else None)(monitor)


def _server(traffic: Traffic) -> None:
    everything = traffic.requests(route for route in list(traffic.routes) if route not in PROBES)
    predict = traffic.requests(["/predict"])
    feedback = traffic.requests(["/feedback"])
    with st.container(border=True):
        figures(
            {
                "Requests": f"{everything.answered:,}",
                "Predictions": f"{traffic.predictions:,}",
                "Feedback": f"{feedback.by_status['202']:,}",
                "Server errors": percent(everything.failed / everything.answered if everything.answered else None),
            }
        )
        st.caption("How long /predict took")
        figures({f"p{share}": _milliseconds(predict.quantile(share / 100)) for share in (50, 95, 99)})
        st.caption(
            f"{traffic.gauges.get('boatyard_queue_inputs', 0):,.0f} inputs waiting, {traffic.truncated:,} truncated. "
            "Probes are not counted."
        )
    for column, categories in traffic.categories.items():
        series = _most_frequent({category: [count] for category, count in categories.items()})
        _totals(column, [{"name": category, "count": count} for category, (count,) in series.items()])
    models = {model for model, _ in traffic.numbers}
    for (model, column), buckets in traffic.numbers.items():
        _totals(column if len(models) == 1 else f"{column} of {model}", _ranges(buckets))
    rows = [
        {"route": route, "status": status, "requests": count}
        for route, requests in sorted(traffic.routes.items())
        for status, count in sorted(requests.by_status.items())
    ]
    with st.expander("By route and status"):
        st.dataframe(rows, hide_index=True)


def _totals(column: str, rows: list[dict[str, Any]]) -> None:
    if rows:
        by = column.replace("_", " ")
        st.markdown(f"**Predictions, by {literal(by)}**")
        charts.draw(charts.totals(rows), f"Predictions since this server started, by {by}")


def _ranges(buckets: Buckets) -> list[dict[str, Any]]:
    return [{"name": _range(low, high), "count": count} for low, high, count in counts(buckets)]


def _range(low: float, high: float) -> str:
    if low == -inf:
        return f"up to {number(high)}"
    return f"over {number(low)}" if high == inf else f"{number(low)} to {number(high)}"


def _wait(monitor: Service) -> None:
    try:
        if monitor.get("/statistics")["rows"]:
            st.rerun()  # without the clock
    except Trouble as trouble:
        explain(trouble)
    else:
        st.info("The journal has no predictions yet. They are shown here as soon as it has.", icon=":material/info:")


def _journal(statistics: dict[str, Any]) -> None:
    quality = statistics["quality"]
    with st.container(border=True):
        figures(
            {
                "Predictions": f"{statistics['rows']:,}",
                "p95": _milliseconds(statistics["latency_ms"]["p95"] / 1000),
                **live(quality),
            }
        )
        st.caption(judged(quality))
    st.markdown("**Predictions in each hour**")
    hours = statistics["hours"]
    rows = [{"hour": hour, "count": count} for hour, count in zip(hours, statistics["counts"], strict=True)]
    charts.draw(charts.volume(rows), "Predictions in each hour")
    for column, categories in statistics["categories"].items():
        if categories:
            _categories_over_time(column.replace("_", " "), hours, _most_frequent(categories))
    for column, shares in statistics["numbers"].items():
        _number_over_time(column.replace("_", " ").capitalize(), hours, statistics["numbers_by_hour"][column])
        figures({share: number(value) for share, value in shares.items()})


def _milliseconds(seconds: float | None) -> str:
    return "n/a" if seconds is None else f"{1000 * seconds:,.1f} ms"


def _categories_over_time(column: str, hours: list[str], series: dict[str, list[int]]) -> None:
    rows = [
        {"hour": hour, "name": name, "count": count, "rank": rank}
        for rank, (name, counted) in enumerate(series.items())
        for hour, count in zip(hours, counted, strict=True)
    ]
    title = f"Shares in each hour, by {column}"
    st.markdown(f"**{literal(title)}**")
    charts.draw(charts.shares_over_time(rows, list(series), OTHERS), title)


def _number_over_time(column: str, hours: list[str], percentiles: dict[str, list[float | None]]) -> None:
    by_hour = [
        {"hour": hour, **{share: each[at] for share, each in percentiles.items()}} for at, hour in enumerate(hours)
    ]
    st.markdown(f"**{literal(column)}**")
    if rows := [row for row in by_hour if row["p50"] is not None]:
        charts.draw(column_charts.by_hour(rows), f"{column} in each hour")
        st.caption("In each hour: the median, half of the values (p25 to p75), and nine in ten (p5 to p95).")


def _most_frequent(categories: dict[str, list[int]]) -> dict[str, list[int]]:
    """The counts of the categories that come most often, and in the end of all others together."""
    ranked = sorted(categories, key=lambda category: -sum(categories[category]))
    series = {category: categories[category] for category in ranked[:MOST_CATEGORIES]}
    if rest := ranked[MOST_CATEGORIES:]:
        series[OTHERS] = [sum(each) for each in zip(*(categories[category] for category in rest), strict=True)]
    return series
