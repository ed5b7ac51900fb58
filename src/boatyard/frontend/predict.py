"""The page for predictions: one request, feedback on its answer, or a batch job on a file."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import streamlit as st

from boatyard import inputs, tasks
from boatyard.config.plurals import counted
from boatyard.frontend import beside, charts
from boatyard.frontend.beside import Beside
from boatyard.frontend.protocol import Answer, Card, CorrectMarks, InputPage, Request, TaskPage, Truth
from boatyard.frontend.services import Service, Trouble
from boatyard.frontend.showing import explain, figures, literal, number

MEDIA_TYPES = {
    "csv": "text/csv",
    "tsv": "text/tab-separated-values",
    "jsonl": "application/jsonl",
    "ndjson": "application/x-ndjson",
}
RESULTS = {"CSV": ("csv", "text/csv"), "JSON Lines": ("jsonl", "application/jsonl")}
_MOST_ON_MAP = 5_000
_JOB_ID = re.compile(r"[0-9A-Za-z-]{1,64}")


@dataclass(frozen=True)
class _Answered:
    """A shown answer, with the model that gave it, which may no longer be served."""

    card: Card
    request: Request
    options: Mapping[str, str | int | float]
    answer: Answer
    others: list[Beside]


def show(api: Service, *_: Service) -> None:
    """The page."""
    card = api.get("/model")
    input_page, task_page = inputs.page(card["input"]), tasks.page(card["task"])
    st.title(f"Ask {literal(card['name'])}")
    st.caption(f"{literal(task_page.summary(card))}, version {literal(card['version'])}")
    one, file = st.tabs([f"One {literal(input_page.NOUN)}", "A file"])
    with one:
        _one(api, card, input_page, task_page)
    with file:
        _file(api, input_page.file_help(card), {**MEDIA_TYPES, **input_page.FILE_TYPES})


# ---- one request


def _one(api: Service, card: Card, input_page: InputPage, task_page: TaskPage) -> None:
    # not in the form, which an example sends without its button
    options, others = task_page.options(card), beside.choose(api, card)
    explained = st.checkbox("Explain", help="Which parts of it move the answer; this takes longer.")
    _examples(card["examples"], input_page)
    with st.form("question", border=False):
        request = input_page.form(card)
        submitted = st.form_submit_button("Predict", type="primary", icon=":material/send:")
    answered: _Answered | None = st.session_state.get("answered")
    if answered and answered.card == card and answered.options != options:  # those of the task were changed
        request, submitted = answered.request, True
    if st.session_state.pop("example", False) or submitted:
        try:
            with st.spinner("Asking"):
                answer = api.post("/predict", request, {**options, **({"explain": "true"} if explained else {})})
        except Trouble as trouble:
            st.session_state.pop("answered", None)  # not before: the next click may end this run of the script
            return explain(trouble)
        st.session_state["answered"] = _Answered(
            card, request, options, answer, beside.ask(api, others, card, request, options)
        )
    if "answered" in st.session_state:
        _answer(api, st.session_state["answered"])
    return None


def _examples(examples: list[Request], input_page: InputPage) -> None:
    def choose(example: Request) -> None:
        input_page.fill(example)
        st.session_state["example"] = True

    if examples:
        st.caption("Try one of these, or write your own.")
    with st.container(horizontal=True, gap="small"):
        for number, example in enumerate(examples):
            caption = literal(input_page.caption(example), limit=48)
            st.button(caption, key=f"example-{number}", on_click=choose, args=(example,))


def _answer(api: Service, answered: _Answered) -> None:
    card, answer = answered.card, answered.answer
    input_page, task_page = inputs.page(card["input"]), tasks.page(card["task"])
    with st.container(border=True):
        if (marks := task_page.marks(answer)) is None:
            input_page.show(answered.request)
        else:
            input_page.show_marked(answered.request, marks)
        st.subheader(literal(task_page.headline(answer)))
        figures(
            {
                **task_page.figures(answer),
                "Took": f"{answer['duration_ms']:.1f} ms",
                "Read": "in part" if answer["truncated"] else "whole",
            }
        )
        if answer["truncated"]:
            st.warning(input_page.cut(card), icon=":material/content_cut:")
        task_page.draw(answer, card)
        if "explanation" in answer:
            _explanation(answered.request, answer, input_page)
        _feedback(api, answered, partial(input_page.correct_marks, answered.request, f"marks-{answer['id']}"))
    if answered.others:
        beside.show(answered.request, answered.others)


def _explanation(request: Request, answer: Answer, input_page: InputPage) -> None:
    explanation: dict[str, Any] = answer["explanation"]
    parts = explanation["parts"]
    st.markdown("**What moved the answer**")
    if parts:
        input_page.explain(request, parts)
        what = "the answer's score" if "score" in answer else "the prediction"
        total = explanation["base"] + sum(part["effect"] for part in parts)
        st.caption(
            f"Coloured parts raise {what} and grey parts lower it, from {number(explanation['base'])} "
            f"without any of them to {number(total)}."
        )
    else:
        st.caption(f"The model's {literal(input_page.NOUN)} has no parts that could be told apart.")


def _feedback(api: Service, answered: _Answered, correct_marks: CorrectMarks) -> None:
    card, answer, task_page = answered.card, answered.answer, tasks.page(answered.card["task"])
    kept: dict[str, Truth] = st.session_state.setdefault("feedback", {})
    if (truth := kept.get(answer["id"])) is not None:
        described = literal(task_page.describe(truth, card))
        st.success(f"Thank you. It is kept that {described} is right.", icon=":material/check:")
    elif (truth := _ask_for_truth(card, answer, task_page, correct_marks)) is not None:
        try:
            api.post("/feedback", {"id": answer["id"], **truth})
        except Trouble as trouble:
            explain(trouble)
        else:
            kept[answer["id"]] = truth
            st.rerun()


def _ask_for_truth(card: Card, answer: Answer, task_page: TaskPage, correct_marks: CorrectMarks) -> Truth | None:
    """The request that this click sent, if any."""
    if (agreement := task_page.agreement(answer)) is not None:
        st.markdown("**Was this right?**")
        with st.container(horizontal=True):
            yes = st.button("Yes", icon=":material/thumb_up:")
            if st.button("No", icon=":material/thumb_down:"):
                st.session_state["wrong"] = answer["id"]
        if yes:
            return agreement
        if st.session_state.get("wrong") != answer["id"]:
            return None
    with st.form(f"truth-{answer['id']}", border=False):
        truth = task_page.correction(answer, card, correct_marks)
        sent = st.form_submit_button("Send", type="primary")
    if not sent:
        return None
    if truth is None:
        st.caption("Say first what would be right.")
    return truth


# ---- a file


def _file(api: Service, file_help: str, media_types: Mapping[str, str]) -> None:
    st.markdown(file_help)
    file = st.file_uploader("File", type=list(media_types), label_visibility="collapsed")
    if file is not None and st.button("Start", type="primary", icon=":material/play_arrow:"):
        media_type = media_types[file.name.rpartition(".")[2].lower()]
        try:
            with st.spinner("Sending"):
                job = api.upload("/jobs", file, media_type)
        except Trouble as trouble:
            return explain(trouble)
        st.query_params["job"] = job["id"]  # so that reloading the page finds the job again
    if job_id := st.query_params.get("job"):
        if not _JOB_ID.fullmatch(job_id):  # the address is user input
            del st.query_params["job"]
            return None
        running = st.session_state.get("ended") != job_id
        st.fragment(_job, run_every=1 if running else None)(api, job_id)
    return None


def _job(api: Service, job_id: str) -> None:
    try:
        job: dict[str, Any] = api.get(f"/jobs/{job_id}")
    except Trouble as trouble:
        return explain(trouble)
    with st.container(border=True):
        st.markdown(f"**Job** `{job_id}`")
        rows = f"{counted(job['rows'], 'row')} answered" + (f", {job['bad']:,} of them bad" if job["bad"] else "")
        st.progress(min(job["share"], 1.0), text=rows)
        if job["state"] == "failed":
            st.error(literal(job.get("reason") or "It failed."), icon=":material/error:")
        if job["state"] == "finished":
            with st.container(horizontal=True):
                for name, (suffix, media_type) in RESULTS.items():
                    _download(api, f"Download as {name}", f"/jobs/{job_id}/result", suffix, media_type)
                if job.get("map"):
                    _download(api, "Download the map", f"/jobs/{job_id}/map.svg", "svg", "image/svg+xml")
                if job.get("overlays"):
                    drawn = f"/jobs/{job_id}/overlays.zip"
                    _download(api, "Download what was found, drawn", drawn, "zip", "application/zip")
            if job.get("map"):
                _map(api, job_id)
    if job["state"] != "running" and st.session_state.get("ended") != job_id:
        st.session_state["ended"] = job_id
        st.rerun()  # without the clock
    return None


def _download(api: Service, says: str, path: str, suffix: str, media_type: str) -> None:
    st.download_button(
        says,
        data=partial(api.read, path, media_type),
        file_name=f"{path.split('/')[2]}.{suffix}",
        mime=media_type,
        icon=":material/download:",
        on_click="ignore",
    )


def _map(api: Service, job_id: str) -> None:
    try:
        lines = api.read(f"/jobs/{job_id}/map.jsonl").splitlines()
    except Trouble as trouble:
        return explain(trouble)
    some = lines[:: -(-len(lines) // _MOST_ON_MAP)]
    rows = [{"name": f"row {place['row']}", **place} for place in map(json.loads, some)]
    st.markdown("**Map**")
    charts.draw(charts.places(rows), "Rows by how the model sees them")
    of_all = f"{len(rows):,} of {len(lines):,} rows. " if len(rows) < len(lines) else ""
    st.caption(f"{of_all}Near each other lies what the model takes for alike; point at one for its name.")
    return None
