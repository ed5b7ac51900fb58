"""POST /predict: a plain Starlette endpoint. FastAPI's overhead would exceed all the work done here."""

import asyncio
from time import perf_counter
from typing import Annotated, TypeVar

from pydantic import BaseModel, Field, ValidationError
from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response

from boatyard.api.answers import Explanation, answers
from boatyard.api.batching import Batcher, QueueFull, Unanswerable
from boatyard.api.ids import new_id
from boatyard.api.journalled import append, prediction_lines
from boatyard.api.keys import HEADER
from boatyard.api.models import Models, ModelUnavailable
from boatyard.api.problems import Fault, Problem, invalid
from boatyard.api.requests import Question, read_question, with_deadline
from boatyard.api.routes import check_query, single_parameter
from boatyard.api.shedding import refusal
from boatyard.bundle.predict import Predictor
from boatyard.config.errors import UserError
from boatyard.registry import REFERENCE, Reference, UnknownModel, parse_reference

_Answer = TypeVar("_Answer")

TIMEOUT = "X-Request-Timeout-Ms"
MODEL = "model"

ModelName = Annotated[
    str, Field(description="name, name@alias or name@version", json_schema_extra={"pattern": f"^{REFERENCE}$"})
]


class Patience(BaseModel):
    """How long the client waits, from a request header."""

    milliseconds: Annotated[
        int,
        Field(
            ge=1, le=600_000, alias=TIMEOUT, description="after that, the answer is 504 and the request is cancelled"
        ),
    ] = 10_000


_DEFAULT_PATIENCE = Patience()


class Extras(BaseModel):
    """What any model may be asked for, whatever its task, from the query."""

    explain: Annotated[
        bool,
        Field(description="Whether to say which parts of the input moved the answer; it costs hundreds of answers"),
    ] = False


_NO_EXTRAS = Extras()


async def predict(request: Request) -> Response:
    """Answers one input, or a list of them under `inputs`. Further parameters depend on the model's task."""
    started, state = perf_counter(), request.app.state
    if state.keys:
        state.keys.check(request.headers.get(HEADER))
    batcher: Batcher = state.batcher
    patience = _read_patience(request)
    predictor = await _named_model(request)
    options, extras = _read_query(request, predictor)
    deadline = started + patience / 1000
    explanations: list[Explanation] = []
    try:
        question = await read_question(request, predictor, state.parsing, deadline)
        if extras.explain:
            explaining = asyncio.ensure_future(state.explainer.explained(predictor, question.rows, options))
            predictions, explanations = await _answered(request, question, explaining, deadline)
        else:
            answering = batcher.submit(predictor, question.rows, options)
            predictions = await _answered(request, question, answering, deadline)
    except QueueFull as full:
        raise refusal(full) from None
    state.metrics.count(predictor, predictions)
    manifest = predictor.manifest
    model = Reference(manifest.name, manifest.version)
    answered = answers(manifest, [new_id(model) for _ in predictions], predictions, started)
    keep = state.settings.journal_input
    append(state.journal, prediction_lines(manifest, question.inputs, predictions, answered, keep))
    for answer, explanation in zip(answered, explanations, strict=False):  # there may be none
        answer["explanation"] = explanation.model_dump(exclude_none=True)
    content = to_json({"predictions": answered} if question.listed else answered[0])
    return Response(content, media_type="application/json")


async def _answered(request: Request, question: Question, answer: asyncio.Future[_Answer], deadline: float) -> _Answer:
    """Raises a Problem that points at the rows on which the model fails."""
    try:
        return await with_deadline(request, answer, deadline - perf_counter())
    except Unanswerable as failed:
        failing = [index for index, one in enumerate(failed.predictions) if one is None]
        pointers = [f"#/inputs/{index}" if question.listed else "#" for index in failing]
        raise Problem(422, str(failed), [Fault(detail=str(failed), pointer=pointer) for pointer in pointers]) from None


async def named_model(models: Models, model: str | None) -> Predictor:
    """The model that a request's `model` refers to; without it, the default model. Raises Problem."""
    try:
        return models.get_default() if model is None else await models.get(parse_reference(model))
    except UnknownModel as why:
        raise Problem(404, str(why)) from None
    except ModelUnavailable as why:
        if isinstance(why.__cause__, OSError):  # the storage's address and message belong in the log only
            raise why.__cause__ from None
        raise Problem(503, str(why)) from None
    except UserError as wrong:
        raise Problem(422, f"model: {wrong}", [Fault(detail=str(wrong), parameter=MODEL)]) from None


async def _named_model(request: Request) -> Predictor:
    name = single_parameter(request, MODEL) if request.scope["query_string"] else None
    return await named_model(request.app.state.models, name)


def _read_patience(request: Request) -> int:
    """In milliseconds."""
    if (patience := request.headers.get(TIMEOUT)) is None:
        return _DEFAULT_PATIENCE.milliseconds
    try:
        return Patience.model_validate({TIMEOUT: patience}).milliseconds
    except ValidationError as wrong:
        raise invalid(wrong.errors()) from None


def _read_query(request: Request, predictor: Predictor) -> tuple[BaseModel, Extras]:
    """The query parameters besides the model's name: the task's options, and what any model may be asked for."""
    if not request.scope["query_string"]:
        return predictor.default_options, _NO_EXTRAS
    check_query(request, {MODEL, *Extras.model_fields, *predictor.options_type.model_fields})
    sent = dict(request.query_params)
    extras = {name: sent.pop(name) for name in Extras.model_fields if name in sent}
    sent.pop(MODEL, None)
    try:
        options = predictor.options_type.model_validate(sent) if sent else predictor.default_options
        return options, Extras.model_validate(extras)
    except ValidationError as wrong:
        raise invalid(wrong.errors()) from None
