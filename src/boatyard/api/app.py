"""The routes, and the app that holds them together."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Depends, FastAPI, Header, Query, Request
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import Response, StreamingResponse

from boatyard import __version__, jobs, registry
from boatyard.api import jobs as jobs_over_http
from boatyard.api.answers import Answer, Answers, Feedback, Health, PublishedModel, PublishedModels, Readiness, answers
from boatyard.api.batching import Batcher, QueueFull
from boatyard.api.jobs import JobState, Worker
from boatyard.api.journalled import feedback_line, prediction_lines
from boatyard.api.keys import HEADER, Keys
from boatyard.api.logs import IdentifiedRequests
from boatyard.api.metrics import MeasuredRequests, Metrics
from boatyard.api.models import Models, ModelUnavailable
from boatyard.api.openapi import describe
from boatyard.api.problems import Fault, Problem, documented, handle_problems
from boatyard.api.requests import parse_feedback, parse_question, patiently, read_json
from boatyard.api.settings import Settings
from boatyard.bundle import Card
from boatyard.errors import UserError
from boatyard.jobs import Job
from boatyard.journal import Journal, JournalError
from boatyard.predict import Predictor, allowed_cores
from boatyard.registry import REFERENCE, UnknownModel, parse_reference
from boatyard.storage import Storage, open_storage

SHIPPING_SECONDS = 3  # for the journal's last segment; what is left waits for the next start

logger = logging.getLogger(__name__)


async def _let_in(request: Request, key: Annotated[str | None, Header(alias=HEADER)] = None) -> None:
    keys: Keys = request.app.state.keys
    if keys:
        keys.check(key)


router = APIRouter()
guarded = APIRouter(dependencies=[Depends(_let_in)], responses=documented(401, 403, 422, 429))


async def _models(request: Request) -> Models:
    found: Models = request.app.state.models
    return found


async def _default_model(models: Annotated[Models, Depends(_models)]) -> Predictor:
    try:
        return models.get_default()
    except ModelUnavailable as why:
        raise Problem(503, str(why)) from None


async def _named_model(
    models: Annotated[Models, Depends(_models)],
    model: Annotated[
        str | None,
        Query(description="name, name@alias or name@version", json_schema_extra={"pattern": f"^{REFERENCE}$"}),
    ] = None,
) -> Predictor:
    if model is None:
        return await _default_model(models)
    try:
        return await models.get(parse_reference(model))
    except UnknownModel as why:
        raise Problem(404, str(why)) from None
    except ModelUnavailable as why:
        raise Problem(503, str(why)) from None
    except UserError as wrong:
        raise Problem(422, f"model: {wrong}", [Fault(detail=str(wrong), parameter="model")]) from None


async def _arrival() -> float:
    return perf_counter()


DefaultModel = Annotated[Predictor, Depends(_default_model)]
NamedModel = Annotated[Predictor, Depends(_named_model)]
Arrival = Annotated[float, Depends(_arrival)]
Patience = Annotated[
    int,
    Header(alias="X-Request-Timeout-Ms", ge=1, le=600_000, description="past it the answer is 504, and not worked on"),
]


@guarded.post("/predict", response_model=Answer | Answers, responses=documented(400, 404, 413, 415, 422, 500, 503, 504))
async def predict(
    request: Request,
    started: Arrival,
    predictor: NamedModel,
    top_k: Annotated[int, Query(ge=1, le=100)] = 3,
    patience: Patience = 10_000,
) -> Response:
    """Answers one input, or a list of them under `inputs`. `top_k` is capped at the number of labels."""
    batcher: Batcher = request.app.state.batcher
    try:
        batcher.admit()  # before its body is read, for then a refusal costs next to nothing
        question = parse_question(await read_json(request), predictor.model)
        pending = batcher.submit(predictor, question.rows, top_k)
    except QueueFull as full:
        raise Problem(503, str(full), headers={"retry-after": str(full.retry_after)}) from None
    predictions = await patiently(request, pending, started + patience / 1000 - perf_counter())
    request.app.state.metrics.count(predictor.manifest.name, predictions)
    answered = answers(predictor.manifest, predictions, started)
    lines = prediction_lines(
        predictor.manifest, question.inputs, predictions, answered, request.app.state.settings.journal_input
    )
    _journal(request, lines)
    content = Answers(predictions=answered) if question.listed else answered[0]
    return Response(content.model_dump_json(), media_type="application/json")  # as it is: it needs no second check


@guarded.post("/feedback", status_code=202, responses=documented(400, 413, 415, 422, 500, 503))
async def feedback(request: Request) -> Feedback:
    """Takes the truth about an earlier prediction: the `id` it was answered with, and its right `label`."""
    given = parse_feedback(await read_json(request))
    _journal(request, [feedback_line(given.id, given.label)])
    return given


@guarded.post("/jobs", status_code=202, responses=documented(404, 408, 413, 415, 422, 429, 500, 503))
async def submit_job(request: Request, response: Response, predictor: NamedModel) -> JobState:
    """Takes a file of inputs, CSV or JSON Lines, to be answered row by row: ask at `location` how it is doing."""
    storage: Storage = request.app.state.storage
    job = await jobs_over_http.submit(request, storage, predictor)
    request.app.state.worker.wake()
    response.headers["location"] = f"/jobs/{job.id}"
    return await to_thread.run_sync(jobs_over_http.state, storage, job)


def _job(request: Request, job: str) -> Job:
    try:
        return jobs.find(request.app.state.storage, job)
    except jobs.UnknownJob as why:
        raise Problem(404, str(why)) from None


NamedJob = Annotated[Job, Depends(_job)]


@guarded.get("/jobs/{job}", responses=documented(404, 422, 500))
def job_state(request: Request, job: NamedJob) -> JobState:
    """How the job is doing."""
    return jobs_over_http.state(request.app.state.storage, job)


@guarded.get(
    "/jobs/{job}/result",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/jsonl": {}}}, **documented(404, 409, 422, 500)},
)
async def job_result(request: Request, job: NamedJob) -> Response:
    """A line of JSON for each row, in the file's order: `row` and what a prediction has, or `error`."""
    storage: Storage = request.app.state.storage
    state = await to_thread.run_sync(jobs_over_http.state, storage, job)
    if state.state == "running":
        raise Problem(409, f"the job is not finished: {state.rows:,} rows are answered")
    return StreamingResponse(jobs_over_http.result(storage, job), media_type="application/jsonl")


def _journal(request: Request, lines: Sequence[Mapping[str, Any]]) -> None:
    """Before the answer: what a client received is never lost."""
    journal: Journal = request.app.state.journal
    try:
        journal.append(lines)
    except JournalError as full:
        logger.error("%s", full)
        raise Problem(503, "the server cannot keep its journal", headers={"retry-after": "10"}) from None


@router.get("/healthz")
async def healthz() -> Health:
    """The process is alive."""
    return Health()


@router.get("/readyz", responses=documented(500, 503))
async def readyz(request: Request, predictor: DefaultModel) -> Readiness:
    """The default model is loaded, and the server was not told to stop; if not, the problem says why."""
    if request.app.state.draining:
        raise Problem(503, "the server is about to stop")
    return Readiness(model=predictor.manifest.name, version=predictor.manifest.version)


@guarded.get("/model", responses=documented(500, 503))
async def model_card(predictor: DefaultModel) -> Card:
    """The default model's card."""
    return predictor.manifest


@guarded.get("/models", responses=documented(500))
def published_models(request: Request) -> PublishedModels:
    """What the registry holds."""
    storage: Storage = request.app.state.storage
    return PublishedModels(
        models=[
            PublishedModel(
                name=name,
                versions=registry.versions(storage, name),
                aliases=registry.aliases(storage, name),
            )
            for name in registry.names(storage)
        ]
    )


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics(request: Request) -> Response:
    """For Prometheus."""
    return Response(request.app.state.metrics.page(), headers={"content-type": CONTENT_TYPE_LATEST})


def create_app(settings: Settings | None = None) -> FastAPI:
    """The app. It reads its settings (the environment's by default) and loads the model when it starts."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        chosen = settings or Settings.from_environment()
        app.state.settings = chosen
        app.state.keys = Keys(chosen.api_keys, chosen.requests_per_second)
        app.state.storage = open_storage(chosen.storage)
        app.state.journal = journal = Journal(app.state.storage, Path(chosen.spool))
        app.state.metrics.watch_journal(journal)
        app.state.batcher = Batcher(allowed_cores(), app.state.metrics)
        with TemporaryDirectory(prefix="boatyard-") as cache:
            models = Models(app.state.storage, chosen.model, Path(cache), app.state.metrics, chosen.watch_seconds)
            app.state.models = models
            await models.follow_default()
            if models.default is None:  # logged; a model that is published later makes the server ready
                logger.warning("serving without a model: /readyz says why")
            app.state.worker = worker = Worker(app.state.storage, models, app.state.batcher)
            background = [asyncio.create_task(models.watch()), asyncio.create_task(worker.work())]
            yield
            for task in background:
                task.cancel()
            await asyncio.gather(*background, return_exceptions=True)
            app.state.batcher.close()
        await to_thread.run_sync(journal.close, SHIPPING_SECONDS)

    app = FastAPI(
        title="Boatyard",
        version=__version__,
        description="Predictions of a published model.",
        lifespan=lifespan,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.metrics = Metrics()
    app.state.draining = False
    app.include_router(router)
    app.include_router(guarded)
    handle_problems(app)
    app.add_middleware(MeasuredRequests, metrics=app.state.metrics)
    app.add_middleware(IdentifiedRequests)  # last added, so outermost

    def openapi() -> dict[str, Any]:
        models: Models | None = getattr(app.state, "models", None)
        return describe(app, models.default.manifest if models and models.default else None)

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's own way to override it
    return app


app = create_app()
