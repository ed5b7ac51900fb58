"""Assembles the app: its state, its routes, and what is done for all of them."""

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from anyio import CapacityLimiter, to_thread
from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

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
from boatyard.api.problems import ErrorsAsProblems, handle_problems
from boatyard.api.routes import AsgiRoute, HeadRequests, Shortcut
from boatyard.api.settings import Settings
from boatyard.api.shedding import Shedding
from boatyard.config.processes import allowed_cores
from boatyard.journal import Journal
from boatyard.storage import Storage, open_storage

PREDICT = "/predict"
SHIPPING_SECONDS = 3  # for the journal's last segments; the rest is shipped after the next start

logger = logging.getLogger(__name__)


class Application:
    """The ASGI application. FastAPI has the routes; the one that is asked most goes past it, which costs less.

    It reads its settings (the environment's by default) and loads the model when it starts.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self.routes = routes = FastAPI(
            title="Boatyard",
            version=__version__,
            description="Predictions of a published model.",
            lifespan=lambda app: _running(app, settings or Settings.from_environment()),
            docs_url=None,
            redoc_url=None,
            redirect_slashes=False,
            generate_unique_id_function=lambda route: route.name,
        )
        self.state = state = routes.state
        state.metrics = Metrics()
        state.draining = False
        first = AsgiRoute(PREDICT, ErrorsAsProblems(partial(predict, state)), "POST")
        _add_routes(routes, first)
        handle_problems(routes)
        app = Shortcut(HeadRequests(routes), first)
        self._app = Shedding(ObservedRequests(app, state), state, PREDICT)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102 - ASGI's own
        await self._app(scope, receive, send)


def _add_routes(app: FastAPI, first: AsgiRoute) -> None:
    app.router.routes.append(first)
    for routes in (router, guarded, administered):
        app.include_router(routes)
    add_documentation(app)

    def openapi() -> dict[str, Any]:
        models: Models | None = getattr(app.state, "models", None)
        return describe(app, models.default if models else None)

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's own way to override it


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
    gc.enable()  # `__main__` begins without
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


app = Application()
