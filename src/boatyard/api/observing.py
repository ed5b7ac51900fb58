"""Middleware: every request gets an id, is timed and counted, and is logged in one line."""

import logging
import re
from random import getrandbits
from time import perf_counter

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from boatyard.api.metrics import Metrics
from boatyard.config.logs import endpoint, request_id

REQUEST_ID = "X-Request-Id"

_W3C = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
_GOOGLE = re.compile(r"([0-9a-f]{32})(/.*)?")

access = logging.getLogger("boatyard.access")


class ObservedRequests:
    """The id is the caller's trace id, if there is one. The route is counted and logged, never client-chosen values."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102 - ASGI's own
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        name = _trace(Headers(scope=scope)) or _new_name()
        previous, started, status = request_id.set(name), perf_counter(), 500

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[REQUEST_ID] = name
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            seconds = perf_counter() - started
            method, route = endpoint(scope)
            self._metrics.answered(route, status, seconds)
            fields = {
                "method": method,
                "route": route,
                "status": status,
                "duration_ms": round(1000 * seconds, 3),
            }
            access.info("%s %s %s", method, route, status, extra={"fields": fields})
            request_id.reset(previous)


def _new_name() -> str:
    """No secret, so that the system need not be asked for each."""
    return f"{getrandbits(128):032x}"


def _trace(headers: Headers) -> str | None:
    if match := _W3C.fullmatch(headers.get("traceparent", "")):
        return match[1]
    if match := _GOOGLE.fullmatch(headers.get("x-cloud-trace-context", "")):
        return match[1]
    return None
