"""Google's own description of its APIs' messages, as JSON Schemas.

For lint and tests: the descriptions come with google-api-python-client, which only development installs.
"""

import json
from functools import cache
from importlib.resources import files
from typing import Any

_KEPT = ("type", "enum", "pattern")


def google_schema(api: str, message: str) -> dict[str, Any]:
    """The strict schema of a message, such as `google_schema("run.v1", "Service")`: unknown keys are not allowed."""
    messages = _messages(api)
    if message not in messages:
        raise KeyError(f"{api} has no message {message}")
    definitions: dict[str, Any] = {}
    pending = [message]
    while pending:
        name = pending.pop()
        if name not in definitions:
            definitions[name] = _strict(messages[name], pending)
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


def _strict(description: dict[str, Any], references: list[str]) -> dict[str, Any]:
    """The schema for Google's description; the messages that it refers to are appended to `references`."""
    if "$ref" in description:
        references.append(description["$ref"])
        return {"$ref": f"#/$defs/{description['$ref']}"}
    if description.get("type") == "any":
        return {}
    schema: dict[str, Any] = {key: description[key] for key in _KEPT if key in description}
    if description.get("format") in {
        "int64",
        "uint64",
    }:  # sent as strings, since JSON numbers lose digits; numbers are accepted
        schema = {"anyOf": [{"type": "string", "pattern": "^-?[0-9]+$"}, {"type": "integer"}]}
    elif schema["type"] == "array":
        schema["items"] = _strict(description["items"], references)
    elif schema["type"] == "object":
        properties = description.get("properties", {})
        schema["properties"] = {key: _strict(value, references) for key, value in properties.items()}
        additional = description.get("additionalProperties")
        schema["additionalProperties"] = False if additional is None else _strict(additional, references)
    return schema
