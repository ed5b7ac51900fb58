"""The routes of the API, except /predict."""

from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Depends, Header, Query, Request
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import Response, StreamingResponse

from boatyard import inputs, registry
from boatyard.api import published
from boatyard.api.answers import Feedback, Health, PublishedModel, PublishedModels, Readiness
from boatyard.api.jobs import map as job_map
from boatyard.api.jobs import overlays, store
from boatyard.api.jobs import routes as job_routes
from boatyard.api.jobs.as_csv import AsCsv
from boatyard.api.jobs.routes import JobState
from boatyard.api.jobs.store import Job
from boatyard.api.journalled import append, feedback_line
from boatyard.api.keys import HEADER, Keys
from boatyard.api.negotiating import negotiate
from boatyard.api.predicting import ModelName, named_model
from boatyard.api.problems import Problem, documented
from boatyard.api.published import Document, From, Name, Promotion, Version
from boatyard.api.requests import parse, read_json
from boatyard.api.routes import refuse_unknown_query
from boatyard.bundle.manifest import Card
from boatyard.bundle.predict import Predictor
from boatyard.config.plurals import counted
from boatyard.inputs import archives
from boatyard.journal import JournalError
from boatyard.registry import Alias
from boatyard.storage import Storage


async def _check_key(request: Request, key: Annotated[str | None, Header(alias=HEADER)] = None) -> None:
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

router = APIRouter(dependencies=[Depends(refuse_unknown_query)], responses=documented(422))
guarded = APIRouter(
    dependencies=[Depends(_check_key), Depends(refuse_unknown_query)], responses=documented(401, 403, 422, 429)
)
administered = APIRouter(
    dependencies=[Depends(_administrator), Depends(refuse_unknown_query)],
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
    """Takes the truth about an earlier prediction: the `id` it was answered with, and what would have been right.

    What that is depends on the model's task, and must be possible for the model; it is kept, and answered with, in the
    model's own spelling.
    """
    state, sent = request.app.state, parse(await read_json(request), Feedback)
    model, truth = await to_thread.run_sync(state.truths.check, sent, state.models.default)
    append(state.journal, [feedback_line(sent.id, model, truth)])
    return Feedback(id=sent.id, **truth)


@guarded.post("/jobs", status_code=202, responses=documented(404, 408, 413, 415, 422, 429, 500, 503))
async def submit_job(request: Request, response: Response, predictor: NamedModel) -> JobState:
    """Takes a file of inputs, such as CSV or JSON Lines, to be answered row by row: ask at `location` for its state."""
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
    responses={200: {"content": {sent: {} for sent in job_routes.RESULTS}}, **documented(404, 406, 409, 422, 500, 503)},
)
async def job_result(request: Request, job: NamedJob) -> Response:
    """A line for each row, in the file's order: `row` and what a prediction has, or `error`.

    JSON Lines, or CSV where the header `Accept` asks for it: there, a nested value's column has a dotted name.
    """
    storage: Storage = request.app.state.storage
    sent = negotiate(request, job_routes.RESULTS)
    state = await to_thread.run_sync(job_routes.state, storage, job)
    if state.state == "running":
        raise Problem(409, f"the job is not finished: {counted(state.rows, 'row')} answered so far")
    keys = await to_thread.run_sync(store.result_keys, storage, job)
    as_csv = None
    if sent == job_routes.CSV:
        card = await to_thread.run_sync(published.card, request.app.state.registry, job.model, job.version)
        named = ["name"] if getattr(inputs.serving(card.input), "NAMED", False) else []
        as_csv = AsCsv(card.answer_schema, [*named, *(["file"] if job.format == archives.MEDIA_TYPE else [])])
    return StreamingResponse(job_routes.result(storage, keys, as_csv), headers={"vary": "accept"}, media_type=sent)


@guarded.get(
    "/jobs/{job}/map.svg",
    response_class=Response,
    responses={200: {"content": {job_map.MEDIA_TYPE: {}}}, **documented(404, 409, 500, 503)},
)
def map_of_job(request: Request, job: NamedJob) -> Response:
    """Where the rows lie on the model's map, among rows that the model was made with; each shows its name."""
    storage: Storage = request.app.state.storage
    keys, model = _points(storage, job), published.model_map(request.app.state.registry, job.model, job.version)
    at = store.progress(storage, job)
    drawn = job_map.draw(model, at.rows - at.bad, map(storage.read, keys))
    return Response(drawn, headers={"x-content-type-options": "nosniff"}, media_type=job_map.MEDIA_TYPE)


@guarded.get(
    "/jobs/{job}/map.jsonl",
    response_class=StreamingResponse,
    responses={200: {"content": {job_routes.RESULTS[0]: {}}}, **documented(404, 409, 500, 503)},
)
def places_of_job(request: Request, job: NamedJob) -> Response:
    """The same as numbers, a line for each row that was answered: `row`, its `name` if it has one, `x`, `y`, `kind`."""
    storage: Storage = request.app.state.storage
    return StreamingResponse(map(storage.read, _points(storage, job)), media_type=job_routes.RESULTS[0])


@guarded.get(
    "/jobs/{job}/overlays.zip",
    response_class=StreamingResponse,
    responses={200: {"content": {overlays.MEDIA_TYPE: {}}}, **documented(404, 409, 500, 503)},
)
def overlays_of_job(request: Request, job: NamedJob) -> Response:
    """The job's rows as people look at them, each with what its answer says of places in it."""
    storage: Storage = request.app.state.storage
    if store.end(storage, job) is None:
        raise Problem(409, "the job is not finished")
    if (drawn := overlays.drawable(request.app.state.registry, job)) is None:
        raise Problem(404, f"the rows of {job.model} cannot be drawn with their answers")
    return StreamingResponse(drawn.archive(storage, job), media_type=overlays.MEDIA_TYPE)


def _points(storage: Storage, job: Job) -> list[str]:
    """The keys of its points. Raises Problem where there are none, or not yet."""
    if store.end(storage, job) is None:
        raise Problem(409, "the job is not finished")
    if not (keys := store.point_keys(storage, job)):
        raise Problem(404, f"the job has no map: {job.model}@{job.version} has none, or answered no row")
    return keys


@router.get("/healthz")
async def healthz() -> Health:
    """The process is alive."""
    return Health()


@router.get("/readyz", responses=documented(500, 503))
async def readyz(request: Request, predictor: DefaultModel) -> Readiness:
    """The server answers predictions, and is not about to stop; if not, the problem says why."""
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
    storage: Storage = request.app.state.registry
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
    return published.card(request.app.state.registry, name, version)


@guarded.get(
    "/models/{name}/{version}/files/{document}",
    response_class=Response,
    responses={200: {"content": {sent: {} for sent in published.TYPES.values()}}, **documented(404, 422, 500, 503)},
)
def published_document(request: Request, name: Name, version: Version, document: Document) -> Response:
    """What people read of one version: its card, its pictures, what was measured, the facts about its data."""
    return published.document(request.app.state.registry, name, version, document)


@administered.post("/models/{name}/aliases/{alias}", responses=documented(400, 408, 413, 415))
async def promote(request: Request, name: Name, alias: Name, by: Administrator) -> Alias:
    """Points the alias at the `version`, once this server has opened it and tried it. It needs an admin key."""
    promotion = parse(await read_json(request), Promotion)
    await named_model(request.app.state.models, f"{name}@{promotion.version}")
    return await to_thread.run_sync(published.promote, request.app.state.registry, name, promotion, alias, by)


@administered.post("/models/{name}/aliases/{alias}/rollback")
def rollback(request: Request, name: Name, alias: Name, by: Administrator, expected: From = None) -> Alias:
    """Points the alias at what it pointed at before its last promotion. It needs an admin key.

    A repeated request goes back two versions, unless `expected` names the one to leave.
    """
    return published.rollback(request.app.state.registry, name, alias, expected, by)


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics(request: Request) -> Response:
    """For Prometheus."""
    return Response(request.app.state.metrics.page(), headers={"content-type": CONTENT_TYPE_LATEST})
