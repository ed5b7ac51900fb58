"""A widget for a field by its JSON Schema: what pages are made of where a plug-in brings no widgets of its own."""

import json
from collections.abc import Mapping
from typing import Any

import streamlit as st

from boatyard.frontend.showing import literal


def widget(field: str, schema: Mapping[str, Any], key: str) -> Any:
    """Draw it; what it holds now, None where that is nothing.

    Lists and objects are typed as JSON. What is not JSON is sent as it was typed, and the api says what is wrong.
    """
    name = literal(field.replace("_", " ").capitalize())
    if "enum" in schema:
        return st.selectbox(name, schema["enum"], index=None, key=key)
    match schema.get("type"):
        case "boolean":
            return st.checkbox(name, key=key)
        case "integer":
            return st.number_input(name, value=None, step=1, key=key)
        case "number":
            return st.number_input(name, value=None, format="%g", key=key)
        case "string":
            return st.text_area(name, key=key) or None
    return _decoded(st.text_area(name, key=key))


def held(value: Any) -> Any:
    """What a widget holds for a value."""
    return value if isinstance(value, str | int | float) else json.dumps(value, ensure_ascii=False)


def _decoded(typed: str) -> Any:
    try:
        return json.loads(typed) if typed else None
    except ValueError:
        return typed
