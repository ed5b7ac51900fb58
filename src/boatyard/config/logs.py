"""Logs as lines of JSON, with the id of the request, and without any text that a client sent."""

import logging
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from http import HTTPMethod
from typing import Any

from pydantic_core import to_json

_METHODS = frozenset(map(str, HTTPMethod))

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)


def endpoint(scope: Mapping[str, Any]) -> tuple[str, str]:
    """Method and route of a request for logs and metrics; unknown ones are `other`, as clients may send any."""
    method = scope["method"] if scope["method"] in _METHODS else "other"
    return method, getattr(scope.get("route"), "path", "other")


class JsonLines(logging.Formatter):
    """Formats records as JSON, with the field names that Cloud Logging reads."""

    def format(self, record: logging.LogRecord) -> str:  # noqa: D102 - logging's own
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "severity": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if (request := request_id.get()) is not None:
            line["request_id"] = request
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return to_json(line).decode()


def log_fields(logger: logging.Logger, message: str, fields: Mapping[str, Any]) -> None:
    """Logs at the level INFO, with further fields. Cheaper than `logger.info`, which looks for its caller."""
    if logger.isEnabledFor(logging.INFO):
        record = logging.LogRecord(logger.name, logging.INFO, "", 0, message, None, None)
        record.fields = fields
        logger.handle(record)


def log_as_json() -> None:
    """Log to standard error, one line of JSON for each record."""
    # no line has them, and they would be looked up for each
    facts = ("logThreads", "logProcesses", "logMultiprocessing", "logAsyncioTasks")
    vars(logging).update(dict.fromkeys(facts, False))
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
