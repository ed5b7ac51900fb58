"""The page on published models: the scores of each version, and the one in production."""

import json
import re
from dataclasses import replace
from typing import Any

import streamlit as st

from boatyard import tasks
from boatyard.config.plurals import counted
from boatyard.frontend import charts
from boatyard.frontend.protocol import Card
from boatyard.frontend.services import Service, Trouble
from boatyard.frontend.showing import explain, literal, plain_markdown, when
from boatyard.tasks.score import Score, shown

MOST_VERSIONS = 20  # cards that are read for the overview
MOST_SCORES = 2  # in the overview


def show(api: Service, *_: Service) -> None:
    """The page."""
    st.title("Models")
    published = {model["name"]: model for model in api.get("/models")["models"]}
    if not published:
        st.info("Nothing is published yet: `uv run invoke pipeline` does it.")
        return
    name = next(iter(published))
    if len(published) > 1:
        name = st.segmented_control("Model", list(published), default=name, format_func=literal, required=True)
    model = published[name]
    cards = {version: _card(api, name, version) for version in model["versions"][:MOST_VERSIONS]}
    if left := len(model["versions"]) - len(cards):
        st.caption(f"The newest {MOST_VERSIONS}, without {counted(left, 'older version')}.")
    _overview(cards, model["aliases"])
    _compare(cards, model["aliases"])
    _one(api, name, list(cards), cards)
    _move(api, name, list(cards), model["aliases"])


def _card(api: Service, name: str, version: str) -> Card:
    """Read once in a session: a published version never changes. Not shared among sessions, whose keys differ."""
    known: dict[tuple[str, str], Card] = st.session_state.setdefault("cards", {})
    if (name, version) not in known:
        known[name, version] = api.get(f"/models/{name}/{version}")
    return known[name, version]


def _scores(card: Card, part: str = "served") -> list[Score]:
    """The primary first."""
    return [Score(**score) for score in card["metrics"].get(part, [])]


def _pointing(aliases: dict[str, str], version: str) -> str:
    return ", ".join(alias for alias, at in aliases.items() if at == version)


def _short(aliases: dict[str, str], version: str) -> str:
    """The version's hash, which names it as well, and what points at it."""
    return " @".join(filter(None, (version.rpartition("-")[2], _pointing(aliases, version))))


def _overview(cards: dict[str, Card], aliases: dict[str, str]) -> None:
    headline = {
        version: {score.title: score.value for score in _scores(card)[:MOST_SCORES]} for version, card in cards.items()
    }
    titles = list(dict.fromkeys(title for scores in headline.values() for title in scores))
    rows = [
        {
            "version": version,
            "alias": _pointing(aliases, version),
            **{title: headline[version].get(title) for title in titles},
            "MB": card["metrics"].get("graph_bytes", 0) / 1e6 or None,
            "made": when(card["created"]),
        }
        for version, card in cards.items()
    ]
    formats = dict.fromkeys(titles, "%.4f") | {"MB": "%.1f"}
    for scores in headline.values():
        formats |= {title: "%.0f" for title, value in scores.items() if abs(value) >= 1000}
    columns = {title: st.column_config.NumberColumn(format=format_) for title, format_ in formats.items()}
    st.dataframe(rows, hide_index=True, column_config=columns)


def _compare(cards: dict[str, Card], aliases: dict[str, str]) -> None:
    st.subheader("Side by side")
    default = list(dict.fromkeys([*(at for at in aliases.values() if at in cards), *cards]))[:3]
    chosen = st.multiselect("Versions", list(cards), default=default, max_selections=4)
    served = {version: _scores(cards[version]) for version in chosen}
    by_title = {version: {score.title: score for score in scores} for version, scores in served.items()}
    rows = [
        {
            "metric": literal(title),
            **{literal(_short(aliases, version)): _interval(scores.get(title)) for version, scores in by_title.items()},
        }
        for title in dict.fromkeys(title for scores in by_title.values() for title in scores)
    ]
    if rows:
        st.table(rows)
    primary = {version: scores[0] for version, scores in served.items() if scores}
    for title, heading in {score.title: score.heading for score in primary.values()}.items():
        points = [
            {
                "name": _short(aliases, version),
                "value": score.value,
                "low": score.low,
                "high": score.high,
                "chosen": version in aliases.values(),
            }
            for version, score in primary.items()
            if score.title == title and score.low is not None
        ]
        if points:
            chart = charts.intervals(points, f"{title}, with its 95% interval")
            charts.draw(chart, f"{heading} of the chosen versions")
            st.caption("In colour: what an alias points at. Where intervals overlap, the difference may be chance.")


def _interval(score: Score | None) -> str:
    if score is None:
        return ""
    if score.low is None or score.high is None:
        return score.shown
    return f"{score.shown} ({shown(score.low)} to {shown(score.high)})"


def _one(api: Service, name: str, versions: list[str], cards: dict[str, Card]) -> None:
    st.subheader("One version")
    version = st.selectbox("Version", versions, label_visibility="collapsed")
    facts, files = cards[version], f"/models/{name}/{version}/files"
    task_page = tasks.page(facts["task"])
    card, mistakes, made = st.tabs(["Card", "Mistakes", "How it was made"])
    with card:
        if (document := _document(api, f"{files}/MODEL_CARD.md")) is not None:
            with st.container(border=True):
                st.markdown(plain_markdown(_below(document.decode(errors="replace"))))
    with mistakes:
        if (document := _document(api, f"{files}/metrics.json")) is not None:
            task_page.mistakes(json.loads(document))
    with made:
        alternative = facts["metrics"].get("alternative_name", "").lower()
        others = [
            (f"{score.title}, {name}", score.shown)
            for name, part in (("baseline", "baseline"), (alternative, "alternative"))
            for score in _scores(facts, part)[:1]
        ]
        limits = [(f"limit, {limit.replace('_', ' ')}", f"{most:,}") for limit, most in facts["limits"].items()]
        lines = [
            ("input", facts["input"]),
            ("task", facts["task"]),
            ("answers", task_page.summary(facts)),
            *others,
            ("precision", str(facts["metrics"].get("precision", "n/a"))),
            ("git commit", facts["git_commit"] or "n/a"),
            ("data", facts["data_fingerprint"]),
            *limits,
            *facts["packages"].items(),
        ]
        st.dataframe([{"": name, " ": fact} for name, fact in lines], hide_index=True)


def _below(document: str) -> str:
    """Markdown without its title, and with smaller headings: the page has its own."""
    return re.sub("^## ", "#### ", re.sub(r"\A# .*\n", "", document), flags=re.MULTILINE)


def _document(api: Service, path: str) -> bytes | None:
    try:
        return api.read(path)
    except Trouble as trouble:
        if trouble.status != 404:
            raise
        st.info(literal(trouble), icon=":material/info:")
        return None


def _move(api: Service, name: str, versions: list[str], aliases: dict[str, str]) -> None:
    st.subheader("Promote and roll back")
    if moved := st.session_state.pop("moved", None):
        st.success(literal(moved), icon=":material/check:")
    key = st.session_state.get("admin-key", "").strip()
    if not key:
        st.caption("An admin key, typed under **Keys** in the side bar, lets you move an alias.")
        return
    admin = replace(api, key=key)
    with st.container(border=True):
        alias = st.selectbox("Alias", list(dict.fromkeys(["production", *aliases])), accept_new_options=True)
        version = st.selectbox("To version", versions, key="to-version")
        if at := aliases.get(alias):  # compare-and-swap: nothing moves if the alias was moved since it was shown
            st.caption(f"{literal(alias)} points at {literal(at)} now.")
        with st.container(horizontal=True):
            promote = st.button("Promote", type="primary", icon=":material/upgrade:", disabled=at == version)
            rollback = st.button("Roll back", icon=":material/undo:", disabled=at is None)
    path = f"/models/{name}/aliases/{alias}"
    if not _is_alias(alias):
        st.warning("An alias is up to 64 of a-z, 0-9, '-' and '_', the first a letter or digit.")
        return
    try:
        if promote:
            _moved(name, alias, admin.post(path, {"version": version, "expected": at}))
        if rollback and at:
            _moved(name, alias, admin.post(f"{path}/rollback", query={"expected": at}))
    except Trouble as trouble:
        explain(trouble)


def _is_alias(alias: str) -> bool:
    return 0 < len(alias) <= 64 and set(alias) <= set("abcdefghijklmnopqrstuvwxyz0123456789-_")


def _moved(name: str, alias: str, now: dict[str, Any]) -> None:
    st.session_state["moved"] = f"{name}@{alias} is {now['version']}"
    st.rerun()
