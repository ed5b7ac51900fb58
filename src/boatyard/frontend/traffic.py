"""What is asked, how fast it is answered, and how often the answer is right."""

from typing import Any

import streamlit as st

from boatyard.frontend import charts
from boatyard.frontend.exposition import Traffic, read_traffic
from boatyard.frontend.services import Service, Trouble
from boatyard.frontend.showing import explain, figures, judged, percent, underway

MOST_LABELS = 5  # shades that an eye tells apart; the others are drawn as one
OTHERS = "all others"
WAIT_SECONDS = 3
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
    st.subheader("All servers, by the journal")
    try:
        statistics = monitor.get("/statistics")
        if late := underway(traffic):
            st.caption(late)
        if statistics["rows"]:
            _journal(statistics)
        else:
            st.fragment(_wait, run_every=WAIT_SECONDS if late else None)(monitor)
    except Trouble as trouble:
        explain(trouble)


def _server(traffic: Traffic) -> None:
    asked = traffic.requests(route for route in list(traffic.routes) if route not in PROBES)
    predict = traffic.requests(["/predict"])
    feedback = traffic.requests(["/feedback"])
    with st.container(border=True):
        figures(
            Requests=f"{asked.answered:,}",
            Predictions=f"{sum(traffic.labels.values()):,}",
            Feedback=f"{feedback.by_status['202']:,}",
            Server_errors=percent(asked.failed / asked.answered if asked.answered else None),
        )
        st.caption("How long /predict took")
        figures(**{f"p{share}": _seconds(predict.quantile(share / 100)) for share in (50, 95, 99)})
        st.caption(
            f"{traffic.gauges.get('boatyard_queue_inputs', 0):,.0f} inputs wait, {traffic.truncated:,} were cut. "
            "Probes are left out."
        )
    if traffic.labels:
        st.markdown("**Predictions, by label**")
        series = _most_frequent({label: [count] for label, count in traffic.labels.items()})
        charts.draw(
            charts.totals([{"label": label, "count": count} for label, (count,) in series.items()]),
            "Predictions since this server started, by label",
        )
    rows = [
        {"route": route, "status": status, "requests": count}
        for route, requests in sorted(traffic.routes.items())
        for status, count in sorted(requests.by_status.items())
    ]
    with st.expander("By route and status"):
        st.dataframe(rows, hide_index=True)


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
            Predictions=f"{statistics['rows']:,}",
            p95=_seconds(statistics["latency_ms"]["p95"] / 1000),
            Live_accuracy=percent(quality["accuracy"]),
        )
        st.caption(judged(quality))
    _by_label(statistics["hours"], statistics["labels"])
    st.markdown("**Length of the inputs**")
    figures(**{share: f"{length:,.0f}" for share, length in statistics["length"].items()})
    st.markdown("**Confidence**")
    figures(**{share: percent(score) for share, score in statistics["score"].items()})


def _seconds(seconds: float | None) -> str:
    return "n/a" if seconds is None else f"{1000 * seconds:,.1f} ms"


def _by_label(hours: list[str], labels: dict[str, list[int]]) -> None:
    series = _most_frequent(labels)
    rows = [
        {"hour": hour, "label": label, "count": count, "rank": rank}
        for rank, (label, counts) in enumerate(series.items())
        for hour, count in zip(hours, counts, strict=True)
    ]
    if rows:
        st.markdown("**Predictions in each hour, by label**")
        charts.draw(charts.over_time(rows, list(series), OTHERS), "Predictions in each hour, by label")


def _most_frequent(labels: dict[str, list[int]]) -> dict[str, list[int]]:
    """The counts of the labels that come most often, and in the end of all others together."""
    ranked = sorted(labels, key=lambda label: -sum(labels[label]))
    series = {label: labels[label] for label in ranked[:MOST_LABELS]}
    if rest := ranked[MOST_LABELS:]:
        series[OTHERS] = [sum(counts) for counts in zip(*(labels[label] for label in rest), strict=True)]
    return series
