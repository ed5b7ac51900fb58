"""POST /predict: a bare ASGI application. A framework's overhead would exceed all the work done here."""

import asyncio
from time import perf_counter
from typing import Annotated, TypeVar

from anyio import to_thread
from pydantic import BaseModel, Field, ValidationError
from pydantic_core import to_json
from starlette.datastructures import Headers, QueryParams, State
from starlette.types import Receive, Scope, Send

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
_NO_QUERY = QueryParams()


async def predict(state: State, scope: Scope, receive: Receive, send: Send) -> None:
    """Answers one input, or a list of them under `inputs`. Further parameters depend on the model's task."""
    started, headers = perf_counter(), Headers(scope=scope)
    if state.keys:
        state.keys.check(headers.get(HEADER))
    batcher: Batcher = state.batcher
    patience = _read_patience(headers) / 1000
    query = QueryParams(scope["query_string"]) if scope["query_string"] else _NO_QUERY
    predictor = await named_model(state.models, single_parameter(query, MODEL))
    options, extras = _read_query(query, predictor)
    explanations: list[Explanation] = []
    try:
        question, deadline = await read_question(
            headers, receive, predictor, state.settings.request_mib, state.parsing, patience
        )
        if extras.explain:
            explaining = asyncio.ensure_future(state.explainer.explained(predictor, question.rows, options))
            predictions, explanations = await _answered(receive, question, explaining, deadline)
        else:
            answering = batcher.submit(predictor, question.rows, options)
            predictions = await _answered(receive, question, answering, deadline)
    except QueueFull as full:
        raise refusal(full) from None
    state.metrics.count(predictor, predictions)
    manifest = predictor.manifest
    model = Reference(manifest.name, manifest.version)
    answered = answers(manifest, [new_id(model) for _ in predictions], predictions, started)

    def journal() -> None:
        keep = state.settings.journal_input
        append(state.journal, prediction_lines(manifest, question.inputs, predictions, answered, keep))

    if predictor.slow_parse:  # what is long to parse is long to write
        await to_thread.run_sync(journal)
    else:
        journal()
    for answer, explanation in zip(answered, explanations, strict=False):  # there may be none
        answer["explanation"] = explanation.model_dump(exclude_none=True)
    content = to_json({"predictions": answered} if question.listed else answered[0])
    framing = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(content))]
    await send({"type": "http.response.start", "status": 200, "headers": framing})
    await send({"type": "http.response.body", "body": content})


async def _answered(receive: Receive, question: Question, answer: asyncio.Future[_Answer], deadline: float) -> _Answer:
    """Raises a Problem that points at the rows on which the model fails."""
    try:
        return await with_deadline(receive, answer, deadline - perf_counter())
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


def _read_patience(headers: Headers) -> int:
    """In milliseconds."""
    if (patience := headers.get(TIMEOUT)) is None:
        return _DEFAULT_PATIENCE.milliseconds
    try:
        return Patience.model_validate({TIMEOUT: patience}).milliseconds
    except ValidationError as wrong:
        raise invalid(wrong.errors()) from None


def _read_query(query: QueryParams, predictor: Predictor) -> tuple[BaseModel, Extras]:
    """The query parameters besides the model's name: the task's options, and what any model may be asked for."""
    if not query:
        return predictor.default_options, _NO_EXTRAS
    check_query(query, {MODEL, *Extras.model_fields, *predictor.options_type.model_fields})
    sent = dict(query)
    extras = {name: sent.pop(name) for name in Extras.model_fields if name in sent}
    sent.pop(MODEL, None)
    try:
        options = predictor.options_type.model_validate(sent) if sent else predictor.default_options
        return options, Extras.model_validate(extras)
    except ValidationError as wrong:
        raise invalid(wrong.errors()) from None
