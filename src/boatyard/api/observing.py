"""Middleware: every request gets an id, is timed and counted, and is logged in one line."""

import logging
import re
from random import getrandbits
from time import perf_counter

from starlette.datastructures import MutableHeaders, State
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from boatyard.config.logs import endpoint, log_fields, request_id

_REQUEST_ID = b"x-request-id"

_W3C = re.compile(rb"[0-9a-f]{2}-((?!0{32})[0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
_GOOGLE = re.compile(rb"([0-9a-f]{32})(/.*)?")

access = logging.getLogger("boatyard.access")


class ObservedRequests:
    """The id is the caller's trace id, if there is one. The route is counted and logged, never client-chosen values.

    While the server drains, connections are closed, so clients open their next one elsewhere.
    """

    def __init__(self, app: ASGIApp, state: State) -> None:
        self._app = app
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102 - ASGI's own
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        name = _trace(scope) or _new_name()
        previous, started, status = request_id.set(name), perf_counter(), 500

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"].append((_REQUEST_ID, name.encode()))
                if self._state.draining:
                    MutableHeaders(scope=message)["connection"] = "close"
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            seconds = perf_counter() - started
            method, route = endpoint(scope)
            self._state.metrics.answered(route, status, seconds)
            duration_ms = round(1000 * seconds, 3)
            fields = {"method": method, "route": route, "status": status, "duration_ms": duration_ms}
            log_fields(access, f"{method} {route} {status}", fields)
            request_id.reset(previous)


def _new_name() -> str:
    """No secret, so that the system need not be asked for each."""
    return f"{getrandbits(128):032x}"


def _trace(scope: Scope) -> str | None:
    headers = dict(scope["headers"])
    if match := _W3C.fullmatch(headers.get(b"traceparent", b"")):
        return match[1].decode()
    if match := _GOOGLE.fullmatch(headers.get(b"x-cloud-trace-context", b"")):
        return match[1].decode()
    return None
