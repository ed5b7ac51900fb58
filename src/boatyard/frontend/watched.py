"""Which model the api serves, and what a page says where the monitor watches another or does not answer."""

from dataclasses import replace

import streamlit as st

from boatyard.frontend.services import Service, Trouble
from boatyard.frontend.showing import literal

_DEFAULT_ALIAS = "production"


def say_if_another(api: Service, watched: str) -> None:
    """A warning where the figures are not of the model that the api serves."""
    try:
        served: str = api.get("/model")["name"]
        if served == watched:
            return
        command = _command(api)
    except Trouble:  # each page says elsewhere what is wrong with the api
        return
    st.warning(
        f"The monitor watches {literal(watched)}, but the api serves {literal(served)}: start the monitor with "
        f"`uv run {command}` to see that model's figures here.",
        icon=":material/warning:",
    )


def advised(trouble: Trouble, api: Service) -> Trouble:
    """With the command that starts a monitor of what the api serves, where that is known."""
    if trouble.status or trouble.service.name == api.name:
        return trouble
    try:
        return Trouble(str(trouble), replace(trouble.service, start=_command(api)))
    except Trouble:
        return trouble


def _command(api: Service) -> str:
    card = api.get("/model")
    aliases: dict[str, str] = next(
        (model["aliases"] for model in api.get("/models")["models"] if model["name"] == card["name"]), {}
    )
    pointing = [alias for alias, version in aliases.items() if version == card["version"]]
    alias = _DEFAULT_ALIAS if _DEFAULT_ALIAS in pointing else next(iter(pointing), card["version"])
    return f"invoke monitor --model {card['name']}@{alias}"
