"""The page on the architecture, and on the model's origin."""

import json
from typing import Any

import streamlit as st

from boatyard import tasks
from boatyard.frontend import charts
from boatyard.frontend.protocol import TaskPage
from boatyard.frontend.services import Service, Trouble
from boatyard.frontend.showing import figures, literal

_FORMER = {"size_unit": "length_unit", "sizes": "lengths"}  # as bundles of an earlier version have them
PICTURE = """
digraph {{
  bgcolor="transparent"; nodesep=0.3; ranksep=0.35; margin=0
  node [shape=box style="rounded" fontname="sans-serif" fontsize=12 color="{grey}" fontcolor="{ink}"]
  edge [color="{grey}" arrowsize=0.6]
  rows [shape=cylinder]
  journal [shape=cylinder]
  bundles [shape=hexagon style="" color="{accent}" penwidth=2]
  page [label="this page"]
  {{ rank=same; rows -> prepare -> train -> evaluate }}
  {{ rank=same; page -> api [dir=both]; api -> bundles -> export [dir=back] }}
  {{ rank=same; journal -> retrain }}
  {{ rank=same; monitor -> journal [dir=back] }} // part: monitor
  rows -> page [style=invis]
  page -> monitor [style=invis] // part: monitor
  evaluate -> export
  prepare -> api [style=invis]
  api -> journal
  page -> monitor [dir=both] // part: monitor
  train -> retrain [dir=back style=dashed constraint=false]
}}
"""


def show(api: Service, *_: Service) -> None:
    """The page."""
    st.title("About")
    st.markdown(
        "Boatyard takes rows of data to a model that answers over HTTP. Training and serving meet in "
        "one place, the *bundle*: a folder with the graph, what its input needs, the numbers it was accepted on and a "
        "checksum of every file. Every answer is in the *journal* before it is sent."
        " The *monitor* reads it there."  # part: monitor
    )
    colours = {"accent": charts.accent(), "ink": charts.theme("textColor"), "grey": charts.GREY}
    with st.container(horizontal_alignment="center"):
        st.graphviz_chart(PICTURE.format(**colours), width="content", alt="From rows to the registry, the api and back")
    st.subheader("The data")
    card = api.get("/model")
    try:
        facts = json.loads(api.read(f"/models/{card['name']}/{card['version']}/files/data.json"))
    except Trouble as trouble:
        if trouble.status != 404:
            raise
        st.info(literal(trouble), icon=":material/info:")
        return
    _data(facts, tasks.page(card["task"]))


def _data(facts: dict[str, Any], task_page: TaskPage) -> None:
    with st.container(border=True):
        figures({split.capitalize(): f"{rows:,}" for split, rows in facts["split_rows"].items()})
        st.text(f"Rows of {', '.join(facts['sources'])}, fingerprint {facts['fingerprint']}.")
    facts = {new: facts[former] for new, former in _FORMER.items() if former in facts} | facts
    st.markdown(f"**Sizes, in {literal(facts['size_unit'])}**")
    sizes = [{"split": split, **points} for split, points in facts["sizes"].items() if points]
    st.dataframe(sizes, hide_index=True)
    if facts["issue_counts"]:
        st.markdown("**Findings**")
        findings = [
            dict(zip(("severity", "kind"), key.split(":", 1), strict=True)) | {"rows": count}
            for key, count in facts["issue_counts"].items()
        ]
        st.dataframe(findings, hide_index=True)
    task_page.data(facts)
