"""What is asked, how fast it is answered, and how often the answer is right."""

from typing import Any

import streamlit as st

from boatyard.frontend import charts
from boatyard.frontend.exposition import Traffic, read_traffic
from boatyard.frontend.services import Service, Trouble
from boatyard.frontend.showing import explain, figures, judged, percent

MOST_LABELS = 5  # shades that an eye tells apart; the others are drawn as one
OTHERS = "all others"
PROBES = ("/healthz", "/readyz", "/metrics")


def show(api: Service, monitor: Service) -> None:
    """The page: each half stands where the other's service is down."""
    st.title("Traffic")
    st.subheader("This server, since it started")
    try:
        text = api.read("/metrics").decode(errors="replace")
        _server(read_traffic(text))
    except Trouble as trouble:
        explain(trouble)
    except ValueError:
        st.error("What the api answers at /metrics cannot be read.", icon=":material/error:")
    st.subheader("All servers, by the journal")
    try:
        _journal(monitor.get("/statistics"))
    except Trouble as trouble:
        explain(trouble)


def _server(traffic: Traffic) -> None:
    asked = traffic.requests(route for route in list(traffic.routes) if route not in PROBES)
    predict = traffic.requests(["/predict"])
    with st.container(border=True):
        figures(
            Requests=f"{asked.answered:,}",
            Predictions=f"{sum(traffic.labels.values()):,}",
            Server_errors=percent(asked.failed / asked.answered if asked.answered else None),
        )
        st.caption("How long /predict took")
        figures(**{f"p{share}": _seconds(predict.quantile(share / 100)) for share in (50, 95, 99)})
        st.caption(
            f"{traffic.gauges.get('boatyard_queue_inputs', 0):,.0f} inputs wait, {traffic.truncated:,} were cut, the "
            f"journal is {traffic.gauges.get('boatyard_journal_lag_seconds', 0):,.0f} s behind. Probes are left out."
        )
    rows = [
        {"route": route, "status": status, "requests": count}
        for route, requests in sorted(traffic.routes.items())
        for status, count in sorted(requests.by_status.items())
    ]
    with st.expander("By route and status"):
        st.dataframe(rows, hide_index=True)


def _journal(statistics: dict[str, Any]) -> None:
    if not statistics["rows"]:
        st.info("The journal has no predictions yet.", icon=":material/info:")
        return
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
    ranked = sorted(labels, key=lambda label: -sum(labels[label]))
    shown = ranked[:MOST_LABELS]
    series = {label: labels[label] for label in shown}
    if rest := ranked[MOST_LABELS:]:
        series[OTHERS] = [sum(labels[label][at] for label in rest) for at in range(len(hours))]
    rows = [
        {"hour": hour, "label": label, "count": count, "rank": rank}
        for rank, (label, counts) in enumerate(series.items())
        for hour, count in zip(hours, counts, strict=True)
    ]
    if rows:
        st.markdown("**Predictions in each hour, by label**")
        charts.draw(charts.over_time(rows, list(series), OTHERS), "Predictions in each hour, by label")
