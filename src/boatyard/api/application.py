"""Assembles the app: its state, routes and middleware."""

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from anyio import CapacityLimiter, to_thread
from fastapi import FastAPI
from starlette.routing import Match, Route
from starlette.types import Scope

from boatyard import __version__
from boatyard.api.batching import Batcher
from boatyard.api.documentation import add_documentation
from boatyard.api.endpoints import administered, guarded, router
from boatyard.api.explaining import Explainer
from boatyard.api.feedback import Truths
from boatyard.api.jobs.worker import Worker
from boatyard.api.keys import Keys
from boatyard.api.metrics import Metrics
from boatyard.api.models import Models
from boatyard.api.observing import ObservedRequests
from boatyard.api.openapi import describe
from boatyard.api.predicting import predict
from boatyard.api.problems import handle_problems
from boatyard.api.routes import HeadRequests
from boatyard.api.settings import Settings
from boatyard.api.shedding import Shedding
from boatyard.bundle.predict import allowed_cores
from boatyard.journal import Journal
from boatyard.storage import Storage, open_storage

PREDICT = "/predict"
SHIPPING_SECONDS = 3  # for the journal's last segments; the rest is shipped after the next start

logger = logging.getLogger(__name__)


def create_app(settings: Settings | None = None) -> FastAPI:
    """The app. It reads its settings (the environment's by default) and loads the model when it starts."""
    app = FastAPI(
        title="Boatyard",
        version=__version__,
        description="Predictions of a published model.",
        lifespan=lambda app: _running(app, settings or Settings.from_environment()),
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.metrics = Metrics()
    app.state.draining = False
    _add_routes(app)
    _add_middleware(app)
    return app


def _add_routes(app: FastAPI) -> None:
    app.router.routes.append(_Route(PREDICT, predict, methods=["POST"]))
    for routes in (router, guarded, administered):
        app.include_router(routes)
    add_documentation(app)

    def openapi() -> dict[str, Any]:
        models: Models | None = getattr(app.state, "models", None)
        return describe(app, models.default if models else None)

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's own way to override it


def _add_middleware(app: FastAPI) -> None:
    """From the innermost to the outermost."""
    handle_problems(app)
    app.add_middleware(HeadRequests)
    app.add_middleware(ObservedRequests, metrics=app.state.metrics)
    app.add_middleware(Shedding, state=app.state, path=PREDICT)


@asynccontextmanager
async def _running(app: FastAPI, settings: Settings) -> AsyncIterator[None]:
    """The lifespan of the server."""
    state = app.state
    state.settings = settings
    state.keys = Keys(settings.api_keys, settings.requests_per_second)
    state.admin_keys = Keys(settings.admin_keys, settings.requests_per_second)
    state.storage, state.registry = open_storage(settings.storage), open_storage(settings.registry)
    state.truths = Truths(state.registry)
    state.journal = Journal(state.storage, Path(settings.spool))
    state.metrics.watch_journal(state.journal)
    state.batcher = Batcher(cores := allowed_cores(), state.metrics)
    state.parsing = CapacityLimiter(cores)
    state.explainer = Explainer(state.batcher, turns=cores)
    state.models = await _load_models(settings, state.registry, state.metrics)
    state.worker = Worker(
        state.storage, state.models, state.batcher, state.journal, state.metrics, settings.journal_input
    )
    gc.collect()
    gc.freeze()  # what is loaded by now stays loaded: later collections can skip it
    async with _in_background(state.models.watch(), state.worker.work()):
        yield
    state.batcher.close()
    await to_thread.run_sync(state.journal.close, SHIPPING_SECONDS)


async def _load_models(settings: Settings, registry: Storage, metrics: Metrics) -> Models:
    models = Models(registry, settings.model, metrics, settings.watch_seconds)
    await models.follow_default()
    if models.default is None:  # logged; a model that is published later makes the server ready
        logger.warning("serving without a model: /readyz says why")
    return models


@asynccontextmanager
async def _in_background(*work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Cancelled at the end."""
    tasks = [asyncio.create_task(each) for each in work]
    yield
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


class _Route(Route):
    """Starlette's, which records the matched route for the middleware, as FastAPI's do."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        match, child_scope = super().matches(scope)
        return match, {**child_scope, "route": self} if child_scope else child_scope


app = create_app()
