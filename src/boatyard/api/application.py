"""The routes, and the app that holds them together."""

import asyncio
import gc
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Depends, FastAPI, Header, Query, Request
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import Response, StreamingResponse
from starlette.routing import Match, Route
from starlette.types import Scope

from boatyard import __version__, registry
from boatyard.api import published
from boatyard.api.answers import Feedback, Health, PublishedModel, PublishedModels, Readiness
from boatyard.api.batching import Batcher
from boatyard.api.feedback import Truths
from boatyard.api.jobs import routes as job_routes
from boatyard.api.jobs import store
from boatyard.api.jobs.routes import JobState
from boatyard.api.jobs.store import Job
from boatyard.api.jobs.worker import Worker
from boatyard.api.journalled import append, feedback_line
from boatyard.api.keys import HEADER, Keys
from boatyard.api.metrics import Metrics
from boatyard.api.models import Models
from boatyard.api.observing import ObservedRequests
from boatyard.api.openapi import describe
from boatyard.api.predicting import ModelName, named_model, predict
from boatyard.api.problems import Problem, documented, handle_problems
from boatyard.api.published import Document, From, Name, Promotion, Version
from boatyard.api.requests import parse, read_json
from boatyard.api.routes import HeadRequests, read_no_more
from boatyard.api.settings import Settings
from boatyard.api.shedding import Shedding
from boatyard.bundle.manifest import Card
from boatyard.bundle.predict import Predictor, allowed_cores
from boatyard.journal import Journal, JournalError
from boatyard.registry import Alias
from boatyard.storage import Storage, open_storage

SHIPPING_SECONDS = 3  # for the journal's last segment; what is left waits for the next start

logger = logging.getLogger(__name__)


async def _let_in(request: Request, key: Annotated[str | None, Header(alias=HEADER)] = None) -> None:
    keys: Keys = request.app.state.keys
    if keys:
        keys.check(key)


async def _administrator(request: Request, key: Annotated[str | None, Header(alias=HEADER)] = None) -> str:
    """The key's name."""
    keys: Keys = request.app.state.admin_keys
    if not keys:
        raise Problem(403, "this server has no admin keys: BOATYARD_ADMIN_KEYS names them")
    return keys.check(key)


Administrator = Annotated[str, Depends(_administrator)]

router = APIRouter(dependencies=[Depends(read_no_more)], responses=documented(422))
guarded = APIRouter(dependencies=[Depends(_let_in), Depends(read_no_more)], responses=documented(401, 403, 422, 429))
administered = APIRouter(
    dependencies=[Depends(_administrator), Depends(read_no_more)],
    responses=documented(401, 403, 404, 409, 422, 429, 500, 503),
)


async def _default_model(request: Request) -> Predictor:
    return await named_model(request.app.state.models, None)


async def _named_model(request: Request, model: Annotated[ModelName | None, Query()] = None) -> Predictor:
    return await named_model(request.app.state.models, model)


DefaultModel = Annotated[Predictor, Depends(_default_model)]
NamedModel = Annotated[Predictor, Depends(_named_model)]


@guarded.post("/feedback", status_code=202, responses=documented(400, 408, 413, 415, 422, 500, 503))
async def feedback(request: Request) -> Feedback:
    """Takes the truth about an earlier prediction: the `id` it was answered with, and its right `label`.

    The label must be one that the model has; it is kept, and answered with, as the model spells it.
    """
    state, correction = request.app.state, parse(await read_json(request), Feedback)
    default = state.models.default and state.models.default.manifest
    model, label = await to_thread.run_sync(state.truths.check, correction, default)
    append(state.journal, [feedback_line(correction.id, model, label)])
    return Feedback(id=correction.id, label=label)


@guarded.post("/jobs", status_code=202, responses=documented(404, 408, 413, 415, 422, 429, 500, 503))
async def submit_job(request: Request, response: Response, predictor: NamedModel) -> JobState:
    """Takes a file of inputs, CSV, TSV or JSON Lines, to be answered row by row: ask at `location` how it is doing."""
    storage: Storage = request.app.state.storage
    job = await job_routes.submit(request, storage, predictor)
    request.app.state.worker.wake()
    response.headers["location"] = f"/jobs/{job.id}"
    return await to_thread.run_sync(job_routes.state, storage, job)


def _job(request: Request, job: str) -> Job:
    try:
        return store.find(request.app.state.storage, job)
    except store.UnknownJob as why:
        raise Problem(404, str(why)) from None


NamedJob = Annotated[Job, Depends(_job)]


@guarded.get("/jobs/{job}", responses=documented(404, 422, 500, 503))
def job_state(request: Request, job: NamedJob) -> JobState:
    """How the job is doing."""
    return job_routes.state(request.app.state.storage, job)


@guarded.get(
    "/jobs/{job}/result",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/jsonl": {}}}, **documented(404, 409, 422, 500, 503)},
)
async def job_result(request: Request, job: NamedJob) -> Response:
    """A line of JSON for each row, in the file's order: `row` and what a prediction has, or `error`."""
    storage: Storage = request.app.state.storage
    state = await to_thread.run_sync(job_routes.state, storage, job)
    if state.state == "running":
        raise Problem(409, f"the job is not finished: {state.rows:,} rows are answered")
    keys = await to_thread.run_sync(store.result_keys, storage, job)
    return StreamingResponse(job_routes.result(storage, keys), media_type="application/jsonl")


@router.get("/healthz")
async def healthz() -> Health:
    """The process is alive."""
    return Health()


@router.get("/readyz", responses=documented(500, 503))
async def readyz(request: Request, predictor: DefaultModel) -> Readiness:
    """The server answers predictions, and was not told to stop; if not, the problem says why."""
    if request.app.state.draining:
        raise Problem(503, "the server is about to stop")
    try:
        request.app.state.journal.check()
    except JournalError as why:
        raise Problem(503, str(why)) from None
    return Readiness(model=predictor.manifest.name, version=predictor.manifest.version)


@guarded.get("/model", responses=documented(500, 503))
async def model_card(predictor: DefaultModel) -> Card:
    """The default model's card."""
    return predictor.manifest


@guarded.get("/models", responses=documented(500, 503))
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


@guarded.get("/models/{name}/{version}", responses=documented(404, 422, 500, 503))
def published_card(request: Request, name: Name, version: Version) -> Card:
    """The card of one version."""
    return published.card(request.app.state.storage, name, version)


@guarded.get(
    "/models/{name}/{version}/files/{document}",
    response_class=Response,
    responses={200: {"content": {kind: {} for kind in published.TYPES.values()}}, **documented(404, 422, 500, 503)},
)
def published_document(request: Request, name: Name, version: Version, document: Document) -> Response:
    """What people read of one version: its card in Markdown, its plots and their numbers, the facts about its data."""
    return published.document(request.app.state.storage, name, version, document)


@administered.post("/models/{name}/aliases/{alias}", responses=documented(400, 408, 413, 415))
async def promote(request: Request, name: Name, alias: Name, by: Administrator) -> Alias:
    """Points the alias at the `version`, once this server has opened it and tried it. It needs an admin key."""
    wanted = parse(await read_json(request), Promotion)
    await named_model(request.app.state.models, f"{name}@{wanted.version}")
    return await to_thread.run_sync(published.promote, request.app.state.storage, name, wanted, alias, by)


@administered.post("/models/{name}/aliases/{alias}/rollback")
def rollback(request: Request, name: Name, alias: Name, by: Administrator, expected: From = None) -> Alias:
    """Points the alias at what it pointed at before its last promotion. It needs an admin key.

    Asked twice it goes back two versions, unless the one to leave is `expected`.
    """
    return published.rollback(request.app.state.storage, name, alias, expected, by)


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics(request: Request) -> Response:
    """For Prometheus."""
    return Response(request.app.state.metrics.page(), headers={"content-type": CONTENT_TYPE_LATEST})


class _Route(Route):
    """Starlette's, which tells the middleware where a request went, as FastAPI's do."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        match, found = super().matches(scope)
        return match, {**found, "route": self} if found else found


def create_app(settings: Settings | None = None) -> FastAPI:
    """The app. It reads its settings (the environment's by default) and loads the model when it starts."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        chosen = settings or Settings.from_environment()
        app.state.settings = chosen
        app.state.keys = Keys(chosen.api_keys, chosen.requests_per_second)
        app.state.admin_keys = Keys(chosen.admin_keys, chosen.requests_per_second)
        app.state.storage = open_storage(chosen.storage)
        app.state.journal = journal = Journal(app.state.storage, Path(chosen.spool))
        app.state.metrics.watch_journal(journal)
        app.state.truths = Truths(app.state.storage)
        app.state.batcher = Batcher(allowed_cores(), app.state.metrics)
        app.state.models = models = Models(app.state.storage, chosen.model, app.state.metrics, chosen.watch_seconds)
        await models.follow_default()
        if models.default is None:  # logged; a model that is published later makes the server ready
            logger.warning("serving without a model: /readyz says why")
        app.state.worker = worker = Worker(
            app.state.storage, models, app.state.batcher, journal, app.state.metrics, chosen.journal_input
        )
        gc.collect()
        gc.freeze()  # what is loaded by now stays: no later collection need walk through it
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
    app.router.routes.append(_Route("/predict", predict, methods=["POST"]))
    app.include_router(router)
    app.include_router(guarded)
    app.include_router(administered)
    handle_problems(app)
    app.add_middleware(HeadRequests)
    app.add_middleware(ObservedRequests, metrics=app.state.metrics)
    app.add_middleware(Shedding, state=app.state, path="/predict")  # last added, so outermost

    def openapi() -> dict[str, Any]:
        models: Models | None = getattr(app.state, "models", None)
        return describe(app, models.default.manifest if models and models.default else None)

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's own way to override it
    return app


app = create_app()
