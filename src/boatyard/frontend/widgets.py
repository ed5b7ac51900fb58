"""A widget for a field by its JSON Schema: what pages are made of where a plug-in brings no widgets of its own."""

import json
from collections.abc import Mapping
from typing import Any

import streamlit as st

from boatyard.frontend.showing import literal


def widget(field: str, schema: Mapping[str, Any], key: str) -> Any:
    """Draw it; what it holds now, None where that is nothing.

    A text that has `examples` is one of these, or another. Lists and objects are typed as JSON. What is not JSON is
    sent as it was typed, and the api says what is wrong.
    """
    name, help_ = literal(field.replace("_", " ").capitalize()), schema.get("description")
    if "enum" in schema:
        return st.selectbox(name, schema["enum"], index=None, key=key, help=help_)
    match _type(schema):
        case "boolean" if is_nullable(schema):
            return st.selectbox(name, [True, False], index=None, key=key, help=help_, format_func=_yes_or_no)
        case "boolean":
            return st.checkbox(name, key=key, help=help_)
        case "integer":
            return st.number_input(name, value=None, step=1, key=key, help=help_)
        case "number":
            if key in st.session_state and st.session_state[key] is not None:
                st.session_state[key] = float(st.session_state[key])  # Streamlit takes no whole number for one
            return st.number_input(name, value=None, format="%g", key=key, help=help_)
        case "string" if examples := schema.get("examples"):
            # one that is filled in may be none of them
            known = dict.fromkeys([*examples, *filter(None, [st.session_state.get(key)])])
            return st.selectbox(name, known, index=None, key=key, help=help_, accept_new_options=True)
        case "string" if "format" in schema:
            return st.text_input(name, value=None, key=key, help=help_) or None
        case "string":
            return st.text_area(name, key=key, help=help_) or None
    return _decoded(st.text_area(name, key=key, help=help_))


def is_nullable(schema: Mapping[str, Any]) -> bool:
    """Whether null may be sent where nothing is known."""
    return isinstance(schema.get("type"), list) and "null" in schema["type"]


def held(value: Any) -> Any:
    """What a widget holds for a value."""
    return value if isinstance(value, str | int | float | None) else json.dumps(value, ensure_ascii=False)


def _type(schema: Mapping[str, Any]) -> Any:
    """The one besides null."""
    types = schema.get("type")
    if not is_nullable(schema):
        return types
    others = [each for each in schema["type"] if each != "null"]
    return others[0] if len(others) == 1 else None


def _yes_or_no(value: bool) -> str:
    return "yes" if value else "no"


def _decoded(typed: str) -> Any:
    try:
        return json.loads(typed) if typed else None
    except ValueError:
        return typed
