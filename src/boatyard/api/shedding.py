"""Middleware for load shedding: while the queue is full, predictions are refused before any work is done."""

from functools import cache

from starlette.datastructures import State
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from boatyard.api.batching import QueueFull
from boatyard.api.problems import Problem
from boatyard.api.routes import is_at


class Shedding:
    """A refusal must cost next to nothing, or refusing takes the time of answering: it is counted, not logged."""

    def __init__(self, app: ASGIApp, state: State, path: str) -> None:
        self._app = app
        self._state = state
        self._path = path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102 - ASGI's own
        if scope["type"] == "http" and is_at(scope, self._path):
            try:
                self._state.batcher.admit()
            except QueueFull as full:
                self._state.metrics.answered(self._path, 503, 0.0)
                await _refused(full.retry_after, self._state.draining)(scope, receive, send)
                return
        await self._app(scope, receive, send)


@cache
def _refused(retry_after: int, draining: bool) -> Response:
    response = refusal(QueueFull(retry_after)).response()
    if draining:
        response.headers["connection"] = "close"
    return response


def refusal(full: QueueFull) -> Problem:
    """With the seconds after which to retry."""
    return Problem(503, str(full), headers={"retry-after": str(full.retry_after)})
