"""The API's description. What /predict takes is what the loaded default model's manifest says."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from boatyard.api.answers import Feedback
from boatyard.api.jobs import FORMATS
from boatyard.api.problems import ProblemDocument
from boatyard.api.requests import MOST_INPUTS
from boatyard.bundle import Manifest

REFERENCES = "#/components/schemas/{model}"


def describe(app: FastAPI, manifest: Manifest | None) -> dict[str, Any]:
    """The OpenAPI document; while no model is loaded, /predict is said to take any object."""
    document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    problem = ProblemDocument.model_json_schema(ref_template=REFERENCES)
    schemas = document["components"]["schemas"]
    schemas |= problem.pop("$defs", {}) | {ProblemDocument.__name__: problem}
    document["paths"]["/predict"]["post"]["requestBody"] = {
        "required": True,
        "content": {"application/json": _body(manifest)},
    }
    document["paths"]["/feedback"]["post"]["requestBody"] = {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": REFERENCES.format(model=Feedback.__name__)}}},
    }
    document["paths"]["/jobs"]["post"]["requestBody"] = {
        "required": True,
        "content": {sent: {"schema": {"type": "string"}} for sent in FORMATS},
    }
    return document


def _body(manifest: Manifest | None) -> dict[str, Any]:
    if manifest is None:
        return {"schema": {"type": "object"}}
    one = manifest.input_schema
    many = {
        "type": "object",
        "properties": {"inputs": {"type": "array", "items": one, "minItems": 1, "maxItems": MOST_INPUTS}},
        "required": ["inputs"],
        "additionalProperties": False,
    }
    examples = {f"input {n}": {"value": example} for n, example in enumerate(manifest.examples, start=1)}
    if examples:
        examples["a list of inputs"] = {"value": {"inputs": manifest.examples}}
    return {"schema": {"anyOf": [one, many]}, "examples": examples}
