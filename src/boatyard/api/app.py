"""The routes, and the app that holds them together."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Annotated, Any

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Depends, FastAPI, Query, Request
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import Response

from boatyard import __version__, registry
from boatyard.api.answers import Answer, Answers, Health, PublishedModel, PublishedModels, Readiness, answers
from boatyard.api.metrics import MeasuredRequests, Metrics
from boatyard.api.models import Models, ModelUnavailable
from boatyard.api.openapi import describe
from boatyard.api.problems import Fault, Problem, documented, handle_problems
from boatyard.api.requests import parse_rows, read_json
from boatyard.api.settings import Settings
from boatyard.bundle import Card
from boatyard.errors import UserError
from boatyard.predict import Prediction, Predictor, allowed_cores
from boatyard.registry import REFERENCE, UnknownModel, parse_reference
from boatyard.storage import Storage, open_storage

router = APIRouter()


async def _models(request: Request) -> Models:
    found: Models = request.app.state.models
    return found


async def _default_model(models: Annotated[Models, Depends(_models)]) -> Predictor:
    try:
        return await models.get_default()
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


@router.post("/predict", responses=documented(400, 404, 413, 415, 422, 500, 503))
async def predict(
    request: Request, started: Arrival, predictor: NamedModel, top_k: Annotated[int, Query(ge=1, le=100)] = 3
) -> Answer | Answers:
    """Answers one input, or a list of them under `inputs`. `top_k` is capped at the number of labels."""
    payload = await read_json(request)

    def work() -> tuple[list[Prediction], bool]:
        rows, listed = parse_rows(payload, predictor.model)
        return predictor.answer(rows, top_k), listed

    predictions, listed = await to_thread.run_sync(work, limiter=request.app.state.inference)
    request.app.state.metrics.count(predictor.manifest.name, predictions)
    answered = answers(predictor.manifest, predictions, started)
    return Answers(predictions=answered) if listed else answered[0]


@router.get("/healthz")
async def healthz() -> Health:
    """The process is alive."""
    return Health()


@router.get("/readyz", responses=documented(500, 503))
async def readyz(predictor: DefaultModel) -> Readiness:
    """The default model is loaded; if not, the problem says why."""
    return Readiness(model=predictor.manifest.name, version=predictor.manifest.version)


@router.get("/model", responses=documented(500, 503))
async def model_card(predictor: DefaultModel) -> Card:
    """The default model's card."""
    return predictor.manifest


@router.get("/models", responses=documented(500))
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
        app.state.storage = open_storage(chosen.storage)
        app.state.inference = CapacityLimiter(allowed_cores())
        with TemporaryDirectory(prefix="boatyard-") as cache:
            app.state.models = Models(app.state.storage, chosen.model, Path(cache), app.state.metrics)
            try:
                await app.state.models.get_default()
            except ModelUnavailable:  # logged; a model that is published later makes the server ready
                logging.getLogger(__name__).warning("serving without a model: /readyz says why")
            yield

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
    app.include_router(router)
    handle_problems(app)
    app.add_middleware(MeasuredRequests, metrics=app.state.metrics)  # last added, so outermost

    def openapi() -> dict[str, Any]:
        models: Models | None = getattr(app.state, "models", None)
        return describe(app, models.default.manifest if models and models.default else None)

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's own way to override it
    return app


app = create_app()
