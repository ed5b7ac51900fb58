"""Logs as lines of JSON, each request under an id of its own, with nothing in them that a client sent as text."""

import json
import logging
import re
from contextvars import ContextVar
from datetime import UTC, datetime
from time import perf_counter
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

REQUEST_ID = "X-Request-Id"

_request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
_W3C = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
_GOOGLE = re.compile(r"([0-9a-f]{32})(/.*)?")

access = logging.getLogger("boatyard.access")


class JsonLines(logging.Formatter):
    """`severity` and `message` by the names that Cloud Logging reads."""

    def format(self, record: logging.LogRecord) -> str:  # noqa: D102 - logging's own
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "severity": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": _request_id.get(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps({name: value for name, value in line.items() if value is not None})


def log_as_json() -> None:
    """From here on every log line of this process is one line of JSON on standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


class IdentifiedRequests:
    """Middleware that gives each request an id, the caller's trace where it names one, and logs how it was answered."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102 - ASGI's own
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        request_id = _trace(Headers(scope=scope)) or uuid4().hex
        token, started, status = _request_id.set(request_id), perf_counter(), 500

        async def identified(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[REQUEST_ID] = request_id
            await send(message)

        try:
            await self._app(scope, receive, identified)
        finally:
            route = getattr(scope.get("route"), "path", "other")  # never the path itself, which a client chose
            milliseconds = round(1000 * (perf_counter() - started), 3)
            fields = {"method": scope["method"], "route": route, "status": status, "duration_ms": milliseconds}
            access.info("%s %s %s", scope["method"], route, status, extra={"fields": fields})
            _request_id.reset(token)


def _trace(headers: Headers) -> str | None:
    if named := _W3C.fullmatch(headers.get("traceparent", "")):
        return named[1]
    if named := _GOOGLE.fullmatch(headers.get("x-cloud-trace-context", "")):
        return named[1]
    return None
