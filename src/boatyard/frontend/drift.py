"""The page on drift: whether traffic still resembles the rows that the model was accepted on."""

from typing import Any

import streamlit as st

from boatyard.config.plurals import counted
from boatyard.frontend import charts, column_charts
from boatyard.frontend.exposition import read_traffic
from boatyard.frontend.services import Service, Trouble
from boatyard.frontend.showing import explain, figures, judged, literal, live, underway, when
from boatyard.frontend.watched import advised, say_if_another

RUN_SECONDS = 300.0
MOST_REPORTS = 10


def show(api: Service, monitor: Service) -> None:
    """The page."""
    try:
        _show(api, monitor)
    except Trouble as trouble:
        explain(advised(trouble, api))


def _show(api: Service, monitor: Service) -> None:
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.title("Drift", width="content")
        run = st.button("Run now", icon=":material/refresh:")
    if run:
        try:
            with st.spinner("Comparing the latest traffic with the reference"):
                monitor.post("/drift/run", seconds=RUN_SECONDS)
        except Trouble as trouble:
            explain(advised(trouble, api))
            if trouble.status != 409:  # 409: another run is in progress, and there may be an earlier report
                return
    try:
        report = monitor.get("/drift.json")
    except Trouble as trouble:
        if trouble.status != 404:
            raise
        statistics = monitor.get("/statistics")
        rows = statistics["rows"]
        say_if_another(api, statistics["model"])
        st.info(
            f"There is no report yet. **Run now** makes one. Predictions in the journal: {rows:,}."
            if rows
            else "There is no report yet. The journal has no predictions to make one of.",
            icon=":material/info:",
        )
        _say_what_is_underway(api)
        return
    say_if_another(api, report["model"])
    _verdict(report)
    _say_what_is_underway(api)
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
    return


def _say_what_is_underway(api: Service) -> None:
    try:
        if late := underway(read_traffic(api.read("/metrics").decode(errors="replace"))):
            st.caption(late)
    except (Trouble, ValueError):  # a page about the monitor, which is there
        return


def _verdict(report: dict[str, Any]) -> None:
    drifted = [verdict for verdict in report["verdicts"] if verdict["drifted"]]
    measured = [verdict for verdict in report["verdicts"] if verdict["value"] is not None]
    suspicious = any(verdict["suspicious"] for verdict in report["verdicts"])
    with st.container(border=True):
        if report["alarm"]:
            st.error("Alarm: the traffic differs from what the model was accepted on.", icon=":material/warning:")
        elif suspicious:
            st.warning(
                "This report is suspicious, but no alarm: one report in fifty is, even if nothing has changed.",
                icon=":material/help:",
            )
        elif not report["comparable"]:
            st.warning("The model's reference is too small to compare anything with.", icon=":material/help:")
        elif all(verdict["value"] is None for verdict in report["verdicts"] if verdict["group"] != "live quality"):
            why = next((one["sentence"] for one in report["verdicts"] if one["group"] != "live quality"), "")
            st.info(f"There is too little traffic to compare. {literal(why)}", icon=":material/info:")
        else:
            st.success("All is well: the traffic looks like the reference.", icon=":material/check_circle:")
        window = report["window"]
        figures(
            {
                "Rows": f"{window['rows']:,}",
                "Drifted": f"{len(drifted)} of {len(measured)}" if measured else "n/a",
                **live(report["quality"]),
            }
        )
        st.caption(judged(report["quality"], nothing="No feedback in this report."))
        st.caption(
            f"{literal(report['model'])} {literal(report['version'])}, asked from {when(window['from'])} to "
            f"{when(window['to'])}"
        )


def _columns(verdicts: list[dict[str, Any]]) -> None:
    st.subheader("Verdicts")
    measured = [verdict for verdict in verdicts if verdict["value"] is not None and verdict["threshold"]]
    if measured:
        charts.draw(charts.distances(measured), "How far each column is, as a share of what it may be")
        st.caption(
            "How far each column is from the reference: past the line is more than chance explains in one report. "
            "Bars end at three times that; those in colour raise the alarm. In the charts of single columns, grey is "
            "the reference, and the colour is the latest traffic."
        )
    steady = [verdict for verdict in verdicts if not verdict["suspicious"] and verdict["value"] is not None]
    others = [verdict for verdict in verdicts if verdict not in steady]
    for verdict in sorted(others, key=lambda verdict: (not verdict["drifted"], not verdict["suspicious"])):
        with st.container(border=True):
            _column(verdict)
    if steady:
        with st.expander(f"{len(steady)} steady", expanded=not any(one["suspicious"] for one in others)):
            for verdict in steady:
                _column(verdict)


def _column(verdict: dict[str, Any]) -> None:
    with st.container(gap="xsmall"):
        with st.container(horizontal=True, horizontal_alignment="distribute"):
            st.markdown(f"**{literal(verdict['name'])}**", width="content")
            st.markdown(_badge(verdict), width="content")
        st.text(verdict["sentence"])
        if verdict["value"] is not None:
            p = "" if verdict["p"] is None else f"; p = {verdict['p']:.2g}"
            st.caption(
                f"{literal(verdict['group'])}, {literal(verdict['statistic'])}: {verdict['value']:.3g}, "
                f"at most {verdict['threshold']:.3g}{p}"
            )
        spread = verdict.get("spread")  # which reports of earlier versions do not have
        if spread and len(spread["reference"]) > 1:
            charts.draw(column_charts.spread(spread), f"{verdict['name']} in the reference and now")


def _badge(verdict: dict[str, Any]) -> str:
    if verdict["drifted"]:
        return ":red-badge[:material/warning: drifted]"
    if verdict["suspicious"]:
        return ":orange-badge[:material/help: suspicious in this report]"
    return ":gray-badge[not measured]" if verdict["value"] is None else ":green-badge[:material/check: steady]"


def _history(history: list[dict[str, Any]]) -> None:
    st.subheader("History")
    rows = [{"time": past["time"], "alarm": past["alarm"], "drifted": len(past["drifted"])} for past in history]
    charts.draw(charts.reports(rows), "Drifted columns in each report")
    st.caption("Drifted columns in each report; in colour: an alarm. All times are UTC.")
    st.table(
        [
            {
                "report": when(past["time"]),
                "rows": f"{past['rows']:,}",
                "suspicious": len(past["suspicious"]) - len(past["drifted"]),
                "drifted": literal(", ".join(past["drifted"])) or "nothing",
            }
            for past in reversed(history[-MOST_REPORTS:])
        ]
    )
    if (left := len(history) - MOST_REPORTS) > 0:
        st.caption(f"Only in the chart: {counted(left, 'older report')}.")
