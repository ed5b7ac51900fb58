"""The API's OpenAPI document. The schemas of /predict and /feedback come from the default model's manifest."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel, TypeAdapter

from boatyard.api.answers import Envelope, Feedback
from boatyard.api.forms import FILE, FORM
from boatyard.api.jobs.routes import FORMATS
from boatyard.api.predicting import MODEL, Extras, ModelName, Patience, predict
from boatyard.api.problems import ProblemDocument, documented
from boatyard.api.published import Promotion
from boatyard.api.requests import JSON, MOST_INPUTS
from boatyard.bundle.manifest import Manifest
from boatyard.bundle.predict import Predictor

REFERENCES = "#/components/schemas/{model}"


def describe(app: FastAPI, predictor: Predictor | None) -> dict[str, Any]:
    """The OpenAPI document; while no model is loaded, bodies that depend on the model are any object."""
    document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    schemas, paths = document["components"]["schemas"], document["paths"]
    _add(schemas, ProblemDocument)
    manifest = predictor.manifest if predictor else None
    # first on the page, as it is what people look for
    document["paths"] = {"/predict": {"post": _predict(schemas, paths["/model"]["get"], predictor)}, **paths}
    schemas[Feedback.__name__] = _feedback(manifest)
    feedback = {JSON: {"schema": {"$ref": REFERENCES.format(model=Feedback.__name__)}}}
    paths["/feedback"]["post"]["requestBody"] = _required(feedback)
    promotion = {JSON: {"schema": _add(schemas, Promotion)}}
    paths["/models/{name}/aliases/{alias}"]["post"]["requestBody"] = _required(promotion)
    formats = [*FORMATS, *(predictor.file_formats if predictor else ())]
    paths["/jobs"]["post"]["requestBody"] = _required({sent: {"schema": {"type": "string"}} for sent in formats})
    return document


def _predict(schemas: dict[str, Any], guarded: dict[str, Any], predictor: Predictor | None) -> dict[str, Any]:
    """`guarded`: another operation that takes an API key."""
    manifest = predictor.manifest if predictor else None
    raw: dict[str, Any] = {
        sent: {"schema": {"type": "string"}} for sent in (predictor.media_types if predictor else ())
    }
    if raw:
        file = {"type": "string", "contentMediaType": ", ".join(raw)}
        form = {"type": "object", "properties": {FILE: file}, "required": [FILE], "additionalProperties": False}
        raw[FORM] = {"schema": form}
    answered = {"description": "Successful Response", "content": {JSON: {"schema": _answers(schemas, manifest)}}}
    problems = documented(400, 404, 408, 413, 415, 422, 500, 503, 504)
    return {
        "operationId": predict.__name__,
        "summary": "Predict",
        "description": predict.__doc__,
        "parameters": [*_parameters(schemas, predictor), *guarded["parameters"]],
        "requestBody": _required({JSON: _questions(manifest)} | raw),
        "responses": guarded["responses"]
        | {str(status): response for status, response in problems.items()}
        | {"200": answered},
    }


def _parameters(schemas: dict[str, Any], predictor: Predictor | None) -> list[dict[str, Any]]:
    query = {MODEL: TypeAdapter(ModelName).json_schema(), **Extras.model_json_schema()["properties"]}
    if predictor:
        options = predictor.options_type.model_json_schema(ref_template=REFERENCES)
        schemas |= options.get("$defs", {})
        query |= options.get("properties", {})
    header = Patience.model_json_schema()["properties"]
    return [
        {"name": name, "in": place, "required": False, "schema": schema}
        for place, parameters in (("query", query), ("header", header))
        for name, schema in parameters.items()
    ]


def _questions(manifest: Manifest | None) -> dict[str, Any]:
    if manifest is None:
        return {"schema": {"type": "object"}}
    one = manifest.request_schema
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


def _answers(schemas: dict[str, Any], manifest: Manifest | None) -> dict[str, Any]:
    """One answer, or a list of them: the task's part in an envelope."""
    schemas["Answer"] = _extended(Envelope, manifest.answer_schema if manifest else {}) | {"title": "Answer"}
    schemas |= schemas["Answer"].pop("$defs")
    answer = {"$ref": REFERENCES.format(model="Answer")}
    schemas["Answers"] = {
        "type": "object",
        "properties": {"predictions": {"type": "array", "items": answer}},
        "required": ["predictions"],
    }
    return {"anyOf": [answer, {"$ref": REFERENCES.format(model="Answers")}]}


def _feedback(manifest: Manifest | None) -> dict[str, Any]:
    """The id of an answer, and the truth as the default model's task defines it."""
    return _extended(Feedback, manifest.truth_schema if manifest else {})


def _extended(model: type[BaseModel], part: dict[str, Any]) -> dict[str, Any]:
    """The model's schema, with the task's properties added."""
    own = model.model_json_schema(ref_template=REFERENCES)
    return (
        own
        | part
        | {
            "properties": own["properties"] | part.get("properties", {}),
            "required": [*own["required"], *part.get("required", [])],
        }
    )


def _required(content: dict[str, Any]) -> dict[str, Any]:
    return {"required": True, "content": content}


def _add(schemas: dict[str, Any], model: type[BaseModel]) -> dict[str, Any]:
    """Adds the model's schema to the others. Returns a reference to it."""
    schema = model.model_json_schema(ref_template=REFERENCES)
    schemas |= schema.pop("$defs", {}) | {model.__name__: schema}
    return {"$ref": REFERENCES.format(model=model.__name__)}
