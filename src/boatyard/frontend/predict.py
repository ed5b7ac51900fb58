"""Ask the model one thing, tell it what would have been right, or have a whole file answered."""

import re
from typing import Any

import streamlit as st

from boatyard.frontend import charts
from boatyard.frontend.services import Service, Trouble
from boatyard.frontend.showing import explain, figures, literal, percent

TOP_K = 5
_JOB_ID = re.compile(r"[0-9A-Za-z-]{1,64}")
KINDS = {
    "csv": "text/csv",
    "tsv": "text/tab-separated-values",
    "jsonl": "application/jsonl",
    "ndjson": "application/x-ndjson",
}


def show(api: Service, _: Service) -> None:
    """The page."""
    card = api.get("/model")
    st.title(f"Ask {literal(card['name'])}")
    st.caption(f"{len(card['labels'])} labels, version {literal(card['version'])}")
    one, file = st.tabs(["One message", "A file"])
    with one:
        _one(api, card)
    with file:
        _file(api, card)


# ---- one message


def _one(api: Service, card: dict[str, Any]) -> None:
    fields = card["input_schema"].get("required", [])
    _examples(card["examples"], fields)
    with st.form("question", border=False):
        asked = {field: _input(field, card["input_schema"]["properties"][field]) for field in fields}
        submitted = st.form_submit_button("Predict", type="primary", icon=":material/send:")
    if submitted or st.session_state.pop("example", False):
        st.session_state.pop("answer", None)
        try:
            with st.spinner("Asking"):
                answer = api.post("/predict", asked, top_k=TOP_K)
        except Trouble as trouble:
            return explain(trouble)
        st.session_state["answer"] = asked, answer
    if "answer" in st.session_state:
        _answer(api, card, *st.session_state["answer"])
    return None


def _examples(examples: list[dict[str, Any]], fields: list[str]) -> None:
    def choose(example: dict[str, Any]) -> None:
        for field in fields:
            st.session_state[f"field-{field}"] = example[field]
        st.session_state["example"] = True

    if examples:
        st.caption("Try one of these, or write your own.")
    with st.container(horizontal=True, gap="small"):
        for number, example in enumerate(examples):
            shown = literal(" / ".join(str(example[field]) for field in fields), limit=48)
            st.button(shown, key=f"example-{number}", on_click=choose, args=(example,))


def _input(field: str, schema: dict[str, Any]) -> Any:
    label, key = literal(field.replace("_", " ").capitalize()), f"field-{field}"
    if "enum" in schema:
        return st.selectbox(label, schema["enum"], key=key)
    if schema.get("type") in ("number", "integer"):
        return st.number_input(label, key=key, step=1 if schema["type"] == "integer" else None)
    return st.text_area(label, key=key, height=68 if field == "title" else 120)


def _answer(api: Service, card: dict[str, Any], asked: dict[str, Any], answer: dict[str, Any]) -> None:
    with st.container(border=True):
        for value in asked.values():
            st.text(_shortened(str(value)))
        st.subheader(literal(answer["label"]))
        figures(
            Confidence=percent(answer["score"]),
            Took=f"{answer['duration_ms']:.1f} ms",
            Read="in part" if answer["truncated"] else "whole",
        )
        if answer["truncated"]:
            limit = card["limits"].get("max_tokens", 0)
            st.warning(
                f"It was cut: the model reads {limit:,} tokens, and what came after them had no say.",
                icon=":material/content_cut:",
            )
        charts.draw(charts.choices(answer["top"]), f"The {len(answer['top'])} most likely labels")
        _feedback(api, card["labels"], answer)


def _shortened(text: str, limit: int = 300) -> str:
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text):,} characters)"


def _feedback(api: Service, labels: list[str], answer: dict[str, Any]) -> None:
    told: dict[str, str] = st.session_state.setdefault("told", {})
    if answer["id"] in told:
        st.success(f"Thank you. It is kept that {literal(told[answer['id']])} is right.", icon=":material/check:")
        return

    def tell(label: str) -> None:
        try:
            api.post("/feedback", {"id": answer["id"], "label": label})
        except Trouble as trouble:
            explain(trouble)
        else:
            told[answer["id"]] = label
            st.rerun()

    st.markdown("**Was this right?**")
    with st.container(horizontal=True):
        yes = st.button("Yes", icon=":material/thumb_up:")
        if st.button("No", icon=":material/thumb_down:"):
            st.session_state["wrong"] = answer["id"]
    if yes:
        tell(answer["label"])
    if st.session_state.get("wrong") == answer["id"]:
        others = [label for label in labels if label != answer["label"]]
        right = st.selectbox("What would be right?", others, index=None, placeholder="Choose a label")
        if st.button("Send", type="primary", disabled=right is None) and right is not None:
            tell(right)


# ---- a file


def _file(api: Service, card: dict[str, Any]) -> None:
    columns = " and ".join(f"**{literal(field)}**" for field in card["input_schema"].get("required", []))
    st.markdown(f"A CSV or TSV with a header or JSON Lines, with {columns} in each row; other columns are passed over.")
    given = st.file_uploader("File", type=list(KINDS), label_visibility="collapsed")
    if given is not None and st.button("Start", type="primary", icon=":material/play_arrow:"):
        kind = KINDS[given.name.rpartition(".")[2].lower()]
        try:
            with st.spinner("Sending"):
                job = api.upload("/jobs", given, kind)
        except Trouble as trouble:
            return explain(trouble)
        st.query_params["job"] = job["id"]  # so that it is found again when the page is loaded anew
    if job_id := st.query_params.get("job"):
        if not _JOB_ID.fullmatch(job_id):  # anybody may write an address
            del st.query_params["job"]
            return None
        running = st.session_state.get("ended") != job_id
        st.fragment(_job, run_every=1 if running else None)(api, job_id)
    return None


def _job(api: Service, job_id: str) -> None:
    try:
        job = api.get(f"/jobs/{job_id}")
    except Trouble as trouble:
        return explain(trouble)
    with st.container(border=True):
        st.markdown(f"**Job** `{job_id}`")
        rows = f"{job['rows']:,} rows answered" + (f", {job['bad']:,} of them bad" if job["bad"] else "")
        st.progress(min(job["share"], 1.0), text=rows)
        if job["state"] == "failed":
            st.error(literal(job.get("reason") or "It failed."), icon=":material/error:")
        if job["state"] == "finished":
            st.download_button(
                "Download the answers",
                data=lambda: api.read(f"/jobs/{job_id}/result"),
                file_name=f"{job_id}.jsonl",
                mime="application/jsonl",
                icon=":material/download:",
                on_click="ignore",
            )
    if job["state"] != "running" and st.session_state.get("ended") != job_id:
        st.session_state["ended"] = job_id
        st.rerun()  # without the clock
    return None
