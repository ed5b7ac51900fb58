"""What is published, how good each version is, and which one answers."""

import json
import re
from dataclasses import replace
from typing import Any

import streamlit as st

from boatyard.frontend import charts
from boatyard.frontend.services import Service, Trouble
from boatyard.frontend.showing import explain, literal, percent, plain_markdown, when

MOST_VERSIONS = 20  # cards that are read for the overview
MOST_LABELS = 40  # that a chart on a page shows
MOST_PAIRS = 10


def show(api: Service, _: Service) -> None:
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
        st.caption(f"The newest {MOST_VERSIONS}; {left:,} older ones are not shown.")
    _overview(cards, model["aliases"])
    _compare(cards, model["aliases"])
    _one(api, name, list(cards), cards)
    _move(api, name, list(cards), model["aliases"])


def _card(api: Service, name: str, version: str) -> dict[str, Any]:
    """Read once in a session: a published version never changes. Not shared among sessions, whose keys differ."""
    known: dict[tuple[str, str], dict[str, Any]] = st.session_state.setdefault("cards", {})
    if (name, version) not in known:
        known[name, version] = api.get(f"/models/{name}/{version}")
    return known[name, version]


def _served(card: dict[str, Any]) -> dict[str, Any]:
    metrics = card["metrics"]
    served: dict[str, Any] = metrics.get("served", metrics)
    return served


def _pointing(aliases: dict[str, str], version: str) -> str:
    return ", ".join(alias for alias, at in aliases.items() if at == version)


def _short(aliases: dict[str, str], version: str) -> str:
    """The version's hash, which names it as well, and what points at it."""
    return " @".join(filter(None, (version.rpartition("-")[2], _pointing(aliases, version))))


def _overview(cards: dict[str, dict[str, Any]], aliases: dict[str, str]) -> None:
    rows = [
        {
            "version": version,
            "alias": _pointing(aliases, version),
            "accuracy": _served(card).get("accuracy"),
            "macro f1": _served(card).get("macro_f1"),
            "MB": card["metrics"].get("graph_bytes", 0) / 1e6 or None,
            "made": when(card["created"]),
        }
        for version, card in cards.items()
    ]
    shares = {name: st.column_config.NumberColumn(format="%.4f") for name in ("accuracy", "macro f1")}
    st.dataframe(rows, hide_index=True, column_config={**shares, "MB": st.column_config.NumberColumn(format="%.1f")})


def _compare(cards: dict[str, dict[str, Any]], aliases: dict[str, str]) -> None:
    st.subheader("Side by side")
    default = list(dict.fromkeys([*(at for at in aliases.values() if at in cards), *cards]))[:3]
    chosen = st.multiselect("Versions", list(cards), default=default, max_selections=4)
    served = {version: _served(cards[version]) for version in chosen}
    names = list(dict.fromkeys(name for scores in served.values() for name in scores if name != "rows"))
    rows = [
        {
            "metric": literal(name.replace("_", " ")),
            **{literal(_short(aliases, version)): _shown(scores.get(name)) for version, scores in served.items()},
        }
        for name in names
    ]
    if rows:
        st.table(rows)
    points = [
        {
            "version": _short(aliases, version),
            "accuracy": scores["accuracy"],
            "low": scores["accuracy_low"],
            "high": scores["accuracy_high"],
            "chosen": version in aliases.values(),
        }
        for version, scores in served.items()
        if "accuracy_low" in scores
    ]
    if points:
        charts.draw(charts.accuracies(points), "Accuracy of the chosen versions")
        st.caption("In colour: what an alias points at. Where intervals overlap, the difference may be chance.")


def _shown(score: float | None) -> str:
    return "" if score is None else f"{score:.4f}"


def _one(api: Service, name: str, versions: list[str], cards: dict[str, dict[str, Any]]) -> None:
    st.subheader("One version")
    version = st.selectbox("Version", versions, label_visibility="collapsed")
    card, mistakes, made = st.tabs(["Card", "Mistakes", "How it was made"])
    files = f"/models/{name}/{version}/files"
    with card:
        if (text := _document(api, f"{files}/MODEL_CARD.md")) is not None:
            with st.container(border=True):
                st.markdown(plain_markdown(_below(text.decode(errors="replace"))))
    with mistakes:
        if (content := _document(api, f"{files}/metrics.json")) is not None:
            _mistakes(json.loads(content))
    with made:
        facts = cards[version]
        baseline = facts["metrics"].get("baseline", {}).get("accuracy")
        st.dataframe(
            [
                {"": "labels", " ": f"{len(facts['labels']):,}"},
                {"": "baseline's accuracy", " ": percent(baseline)},
                {"": "precision", " ": str(facts["metrics"].get("precision", "n/a"))},
                {"": "git commit", " ": facts["git_commit"] or "n/a"},
                {"": "data", " ": facts["data_fingerprint"]},
                *(
                    {"": f"limit, {limit.replace('_', ' ')}", " ": f"{most:,}"}
                    for limit, most in facts["limits"].items()
                ),
                *({"": package, " ": of} for package, of in facts["packages"].items()),
            ],
            hide_index=True,
        )


def _mistakes(measured: dict[str, Any]) -> None:
    labels, confusion = measured["detail"]["labels"], measured["detail"]["confusion"]
    wrong = [
        (count, truth, answer)
        for truth, counts in enumerate(confusion)
        for answer, count in enumerate(counts)
        if count and truth != answer
    ]
    often = [sum(count for count, *pair in wrong if index in pair) for index in range(len(labels))]
    drawn = sorted(sorted(range(len(labels)), key=lambda index: -often[index])[:MOST_LABELS])
    st.markdown("**What is taken for what**")
    few = f" Drawn are the {MOST_LABELS} labels with the most of them." if len(labels) > MOST_LABELS else ""
    st.caption(
        f"{measured['rows']:,} rows of the {literal(measured['split'])} split, as trained. In colour: mistakes, the "
        f"fuller the more of the label's rows.{few}"
    )
    counted = [[confusion[truth][answer] for answer in drawn] for truth in drawn]
    charts.draw(charts.confusion(counted, [labels[index] for index in drawn]), "Rows by their label and the answer")
    if wrong:
        st.table(
            [
                {
                    "rows": f"{count:,} of {sum(confusion[truth]):,}",
                    "of": literal(labels[truth]),
                    "taken for": literal(labels[answer]),
                }
                for count, truth, answer in sorted(wrong, key=lambda one: -one[0])[:MOST_PAIRS]
            ]
        )
    st.markdown("**How often it is right, by how sure it is**")
    charts.draw(charts.calibration(measured["detail"]["calibration"]), "Accuracy by confidence")
    st.caption("A larger point has more rows. Below the line the model is surer than it should be.")


def _below(text: str) -> str:
    """Markdown without its title, and with smaller headings: the page has its own."""
    return re.sub("^## ", "#### ", re.sub(r"\A# .*\n", "", text), flags=re.MULTILINE)


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
        if at := aliases.get(alias):  # what is seen is what moves: nothing, where somebody else was faster
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
            _moved(name, alias, admin.post(f"{path}/rollback", expected=at))
    except Trouble as trouble:
        explain(trouble)


def _is_alias(alias: str) -> bool:
    return 0 < len(alias) <= 64 and set(alias) <= set("abcdefghijklmnopqrstuvwxyz0123456789-_")


def _moved(name: str, alias: str, now: dict[str, Any]) -> None:
    st.session_state["moved"] = f"{name}@{alias} is {now['version']}"
    st.rerun()
