"""The API's description. What /predict takes is what the loaded default model's manifest says."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import TypeAdapter

from boatyard.api.answers import Answer, Answers, Feedback
from boatyard.api.jobs.routes import FORMATS
from boatyard.api.predicting import TIMEOUT, Parameters, predict
from boatyard.api.problems import ProblemDocument, documented
from boatyard.api.published import Promotion
from boatyard.api.requests import MOST_INPUTS
from boatyard.bundle.manifest import Manifest

REFERENCES = "#/components/schemas/{model}"


def describe(app: FastAPI, manifest: Manifest | None) -> dict[str, Any]:
    """The OpenAPI document; while no model is loaded, /predict is said to take any object."""
    document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    problem = ProblemDocument.model_json_schema(ref_template=REFERENCES)
    schemas = document["components"]["schemas"]
    schemas |= problem.pop("$defs", {}) | {ProblemDocument.__name__: problem}
    answered = TypeAdapter(Answer | Answers).json_schema(ref_template=REFERENCES)
    schemas |= answered.pop("$defs")
    guarded = document["paths"]["/model"]["get"]
    document["paths"]["/predict"] = {
        "post": {
            "operationId": predict.__name__,
            "summary": "Predict",
            "description": predict.__doc__,
            "parameters": [*_parameters(), *guarded["parameters"]],
            "requestBody": {"required": True, "content": {"application/json": _body(manifest)}},
            "responses": guarded["responses"]
            | {str(status): said for status, said in documented(400, 404, 408, 413, 415, 422, 500, 503, 504).items()}
            | {"200": {"description": "Successful Response", "content": {"application/json": {"schema": answered}}}},
        }
    }
    for path, body in (("/feedback", Feedback), ("/models/{name}/aliases/{alias}", Promotion)):
        schemas[body.__name__] = body.model_json_schema(ref_template=REFERENCES)
        document["paths"][path]["post"]["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": REFERENCES.format(model=body.__name__)}}},
        }
    document["paths"]["/jobs"]["post"]["requestBody"] = {
        "required": True,
        "content": {sent: {"schema": {"type": "string"}} for sent in FORMATS},
    }
    return document


def _parameters() -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "header" if name == TIMEOUT else "query", "required": False, "schema": schema}
        for name, schema in Parameters.model_json_schema()["properties"].items()
    ]


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
