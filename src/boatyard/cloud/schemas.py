"""Google's own description of its APIs' messages, as JSON Schemas.

For lint and tests: the descriptions come with google-api-python-client, which only development installs.
"""

import json
from functools import cache
from importlib.resources import files
from typing import Any

_KEPT = ("type", "enum", "pattern")


def google_schema(api: str, message: str) -> dict[str, Any]:
    """The strict schema of one message, such as `google_schema("run.v1", "Service")`: no key that it does not name."""
    messages = _messages(api)
    if message not in messages:
        raise KeyError(f"{api} has no message {message}")
    definitions: dict[str, Any] = {}
    wanted = [message]
    while wanted:
        name = wanted.pop()
        if name not in definitions:
            definitions[name] = _strict(messages[name], wanted)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$ref": f"#/$defs/{message}",
        "$defs": definitions,
    }


@cache
def _messages(api: str) -> dict[str, Any]:
    document = files("googleapiclient").joinpath("discovery_cache", "documents", f"{api}.json")
    messages: dict[str, Any] = json.loads(document.read_text(encoding="utf-8"))["schemas"]
    return messages


def _strict(described: dict[str, Any], referred: list[str]) -> dict[str, Any]:
    """The schema of what is described; the messages that it refers to are added to `referred`."""
    if "$ref" in described:
        referred.append(described["$ref"])
        return {"$ref": f"#/$defs/{described['$ref']}"}
    if described.get("type") == "any":
        return {}
    schema: dict[str, Any] = {key: described[key] for key in _KEPT if key in described}
    if described.get("format") in {"int64", "uint64"}:  # JSON's numbers are too short for them, but may be given
        schema = {"anyOf": [{"type": "string", "pattern": "^-?[0-9]+$"}, {"type": "integer"}]}
    elif schema["type"] == "array":
        schema["items"] = _strict(described["items"], referred)
    elif schema["type"] == "object":
        properties = described.get("properties", {})
        schema["properties"] = {key: _strict(value, referred) for key, value in properties.items()}
        others = described.get("additionalProperties")
        schema["additionalProperties"] = False if others is None else _strict(others, referred)
    return schema
