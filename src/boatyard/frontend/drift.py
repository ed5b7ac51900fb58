"""Whether what comes in still looks like what the model was accepted on."""

from typing import Any

import streamlit as st

from boatyard.frontend import charts
from boatyard.frontend.services import Service, Trouble
from boatyard.frontend.showing import explain, figures, percent, when

RUN_SECONDS = 300.0


def show(_: Service, monitor: Service) -> None:
    """The page."""
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.title("Drift", width="content")
        run = st.button("Run now", icon=":material/refresh:")
    if run:
        try:
            with st.spinner("Comparing the latest traffic with the reference"):
                monitor.post("/drift/run", seconds=RUN_SECONDS)
        except Trouble as trouble:
            return explain(trouble)
    try:
        report = monitor.get("/drift.json")
    except Trouble as trouble:
        if trouble.status != 404:
            raise
        st.info("There is no report yet. **Run now** makes one.", icon=":material/info:")
        return None
    _verdict(report)
    _columns(report["verdicts"])
    _history(monitor.get("/history.json"))
    st.download_button(
        "Download the full report",
        data=lambda: monitor.read("/drift"),
        file_name="drift.html",
        mime="text/html",
        icon=":material/download:",
        on_click="ignore",
    )
    return None


def _verdict(report: dict[str, Any]) -> None:
    drifted = [verdict for verdict in report["verdicts"] if verdict["drifted"]]
    with st.container(border=True):
        if report["alarm"]:
            st.error("The alarm rings: the traffic is not what the model knows.", icon=":material/warning:")
        else:
            st.success("All is well: the traffic looks like the reference.", icon=":material/check_circle:")
        window, quality = report["window"], report["quality"] or {}
        figures(
            Rows=f"{window['rows']:,}",
            Drifted=f"{len(drifted)} of {len(report['verdicts'])}",
            Live_accuracy=percent(quality.get("accuracy")),
        )
        st.text(
            f"{report['model']} {report['version']}, rows from {when(str(window['from']))} to "
            f"{when(str(window['to']))}, report of {when(report['time'])}"
        )
        if quality.get("feedback"):
            st.text(
                f"{quality['feedback']:,} answers have feedback: accuracy is between {percent(quality.get('low'))} and "
                f"{percent(quality.get('high'))}; the model was accepted at {percent(quality.get('accepted'))}."
            )


def _columns(verdicts: list[dict[str, Any]]) -> None:
    st.subheader("Verdicts")
    for verdict in verdicts:
        if verdict["drifted"]:
            st.text(f"• {verdict['sentence']}")
    measured = [verdict for verdict in verdicts if verdict["value"] is not None and verdict["threshold"]]
    if measured:
        charts.draw(charts.distances(measured), "How far each column is, as a share of what it may be")
        st.caption("How far each is from the reference: past the line it drifted.")
    st.dataframe(
        [
            {
                "column": verdict["name"],
                "verdict": "drifted" if verdict["drifted"] else "steady",
                "value": verdict["value"],
                "threshold": verdict["threshold"],
                "statistic": verdict["statistic"],
                "group": verdict["group"],
                "in words": verdict["sentence"],
            }
            for verdict in sorted(verdicts, key=lambda verdict: not verdict["drifted"])
        ],
        hide_index=True,
        column_config={name: st.column_config.NumberColumn(format="%.4g") for name in ("value", "threshold")},
    )


def _history(history: list[dict[str, Any]]) -> None:
    st.subheader("History")
    if not history:
        st.caption("This was the first report.")
        return
    rows = [
        {
            "time": past["time"],
            "alarm": past["alarm"],
            "drifted": len(past["drifted"]),
            "columns": ", ".join(past["drifted"]),
        }
        for past in history
    ]
    charts.draw(charts.alarms(rows), "Drifted columns in each report")
    st.caption("Drifted columns in each report; in colour: an alarm.")
