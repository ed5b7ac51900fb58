"""Logs as lines of JSON, with the id of the request, and without any text that a client sent."""

import logging
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from http import HTTPMethod
from time import time
from typing import Any

from pydantic_core import to_json

_METHODS = frozenset(map(str, HTTPMethod))

_written: "logging.StreamHandler[Any] | None" = None  # where all lines go, once they are JSON
request_id: ContextVar[str | None] = ContextVar("request_id", default=None)


def endpoint(scope: Mapping[str, Any]) -> tuple[str, str]:
    """Method and route of a request for logs and metrics; unknown ones are `other`, as clients may send any."""
    method = scope["method"] if scope["method"] in _METHODS else "other"
    return method, getattr(scope.get("route"), "path", "other")


class JsonLines(logging.Formatter):
    """Formats records as JSON, with the field names that Cloud Logging reads."""

    def format(self, record: logging.LogRecord) -> str:  # noqa: D102 - logging's own
        fields: dict[str, Any] = {**getattr(record, "fields", {})}
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return _line(record.created, record.levelname, record.name, record.getMessage(), fields)


def _line(moment: float, severity: str, logger: str, message: str, fields: Mapping[str, Any]) -> str:
    line = {
        "time": datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds"),
        "severity": severity,
        "logger": logger,
        "message": message,
    }
    if (request := request_id.get()) is not None:
        line["request_id"] = request
    return to_json({**line, **fields}).decode()


def log_fields(logger: logging.Logger, message: str, fields: Mapping[str, Any]) -> None:
    """Logs a line at the level INFO, with further fields.

    After `log_as_json` it is written as it is: a record that goes through loggers and handlers takes several times as
    long, which counts where there is a line for each request.
    """
    if not logger.isEnabledFor(logging.INFO):
        return
    if _written is None:
        logger.info("%s", message, extra={"fields": fields})
        return
    line = _line(time(), "INFO", logger.name, message, fields)
    _written.acquire()
    try:
        _written.stream.write(f"{line}\n")
        _written.flush()
    except (OSError, ValueError):  # nothing fails because its line cannot be written, as with any handler
        pass
    finally:
        _written.release()


def log_as_json() -> None:
    """Log to standard error, one line of JSON for each record."""
    global _written
    # no line has them, and they would be looked up for each
    facts = ("logThreads", "logProcesses", "logMultiprocessing", "logAsyncioTasks")
    vars(logging).update(dict.fromkeys(facts, False))
    _written = logging.StreamHandler()
    _written.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[_written], force=True)
