"""POST /predict: a plain Starlette endpoint. What FastAPI does around one takes longer than all that is done here."""

from time import perf_counter
from typing import Annotated

from pydantic import BaseModel, Field, ValidationError
from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response

from boatyard.api.answers import Answers, answers
from boatyard.api.batching import Batcher, QueueFull, Unanswerable
from boatyard.api.ids import new_id
from boatyard.api.journalled import append, prediction_lines
from boatyard.api.keys import HEADER
from boatyard.api.models import Models, ModelUnavailable
from boatyard.api.problems import Fault, Problem, invalid
from boatyard.api.requests import parse_question, patiently, read_json
from boatyard.api.routes import check_query
from boatyard.api.shedding import refusal
from boatyard.bundle.predict import Predictor
from boatyard.config.errors import UserError
from boatyard.registry import REFERENCE, Reference, UnknownModel, parse_reference

TIMEOUT = "X-Request-Timeout-Ms"

ModelName = Annotated[
    str, Field(description="name, name@alias or name@version", json_schema_extra={"pattern": f"^{REFERENCE}$"})
]


class Parameters(BaseModel):
    """What a request says beside its body: in its query, and of its patience in a header."""

    top_k: int = Field(3, ge=1, le=100)
    model: ModelName | None = None
    patience: Annotated[
        int, Field(ge=1, le=600_000, alias=TIMEOUT, description="past it the answer is 504, and not worked on")
    ] = 10_000


QUERY = Parameters.model_fields.keys() - {"patience"}


async def predict(request: Request) -> Response:
    """Answers one input, or a list of them under `inputs`. `top_k` is capped at the number of labels."""
    started, state = perf_counter(), request.app.state
    if state.keys:
        state.keys.check(request.headers.get(HEADER))
    batcher: Batcher = state.batcher
    try:
        asked = _parameters(request)
        predictor = await named_model(state.models, asked.model)
        question = parse_question(await read_json(request), predictor.model)
        pending = batcher.submit(predictor, question.rows, asked.top_k)
    except QueueFull as full:
        raise refusal(full) from None
    try:
        predictions = await patiently(request, pending, started + asked.patience / 1000 - perf_counter())
    except Unanswerable as failed:
        wrong = [index for index, one in enumerate(failed.predictions) if one is None]
        pointers = [f"#/inputs/{index}" if question.listed else "#" for index in wrong]
        raise Problem(422, str(failed), [Fault(detail=str(failed), pointer=pointer) for pointer in pointers]) from None
    state.metrics.count(predictor.manifest.name, predictions)
    model = Reference(predictor.manifest.name, predictor.manifest.version)
    answered = answers(predictor.manifest, [new_id(model) for _ in predictions], predictions, started)
    keep = state.settings.journal_input
    append(state.journal, prediction_lines(predictor.manifest, question.inputs, predictions, answered, keep))
    content = to_json(Answers(answered) if question.listed else answered[0])
    return Response(content, media_type="application/json")


async def named_model(models: Models, model: str | None) -> Predictor:
    """What a request's `model` means, the default model by default. Raises Problem."""
    try:
        return models.get_default() if model is None else await models.get(parse_reference(model))
    except UnknownModel as why:
        raise Problem(404, str(why)) from None
    except ModelUnavailable as why:
        if isinstance(why.__cause__, OSError):  # where the storage is and what it said is for the log
            raise why.__cause__ from None
        raise Problem(503, str(why)) from None
    except UserError as wrong:
        raise Problem(422, f"model: {wrong}", [Fault(detail=str(wrong), parameter="model")]) from None


def _parameters(request: Request) -> Parameters:
    check_query(request, QUERY)
    given: dict[str, str] = dict(request.query_params)
    if (patience := request.headers.get(TIMEOUT)) is not None:
        given[TIMEOUT] = patience
    try:
        return Parameters.model_validate(given)
    except ValidationError as wrong:
        raise invalid(wrong.errors()) from None
