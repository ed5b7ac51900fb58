"""Every error that a service answers with is an RFC 9457 problem document."""

import asyncio
import json
import logging
from collections.abc import Mapping, Sequence
from errno import EACCES, EDQUOT, ENOSPC, EPERM, EROFS
from http import HTTPStatus
from typing import Any
from uuid import uuid4

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from boatyard.config.errors import UserError
from boatyard.config.logs import endpoint
from boatyard.storage import Refused

MEDIA_TYPE = "application/problem+json"

logger = logging.getLogger(__name__)


class Fault(BaseModel):
    """One wrong thing in a request: in its body at `pointer`, or in the query `parameter`."""

    detail: str
    pointer: str | None = Field(
        default=None, description="A JSON Pointer as a URI fragment, such as `#/inputs/2/text`."
    )
    parameter: str | None = None


class ProblemDocument(BaseModel):
    """A problem document of RFC 9457."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    instance: str | None = Field(default=None, description="Of an unexpected error: its id in the log.")
    errors: list[Fault] | None = None


class Problem(Exception):  # noqa: N818 - RFC 9457's word
    """Raised anywhere below a route, it becomes the response."""

    def __init__(
        self,
        status: int,
        detail: str,
        errors: Sequence[Fault] = (),
        headers: Mapping[str, str] | None = None,
        instance: str | None = None,
    ) -> None:
        super().__init__(detail)
        self.headers = headers
        self.document = ProblemDocument(
            title=HTTPStatus(status).phrase,
            status=status,
            detail=detail,
            instance=instance,
            errors=list(errors) or None,
        )

    def response(self) -> Response:
        """The document, without empty fields."""
        # json escapes non-ASCII characters, so nothing that a client sent can break the response
        content = json.dumps(self.document.model_dump(exclude_none=True))
        return Response(content, self.document.status, self.headers, MEDIA_TYPE)


def invalid(errors: Sequence[Mapping[str, Any]]) -> Problem:
    """From pydantic's errors on parameters."""
    faults = [Fault(detail=error["msg"], parameter=str(error["loc"][-1])) for error in errors]
    return Problem(422, "; ".join(f"{fault.parameter}: {fault.detail}" for fault in faults), faults)


def storage_problem(raised: OSError) -> Problem:
    """From a storage error, without the storage's address."""
    if raised.errno in (ENOSPC, EDQUOT):
        return Problem(503, "the storage is full", headers={"retry-after": "60"})
    if isinstance(raised, Refused) or raised.errno in (EACCES, EPERM, EROFS):
        return Problem(503, "the storage does not let the server do this")
    return Problem(503, "the storage does not answer", headers={"retry-after": "10"})


HANDLED = (Problem, HTTPException, RequestValidationError, ClientDisconnect, OSError, UserError)
"""What `as_problem` has a problem for; anything else is unexpected."""


def as_problem(raised: Exception, scope: Scope) -> Problem:
    """What the client of this request is told. `raised`: one of HANDLED; what the operator must know of is logged."""
    match raised:
        case Problem():
            return raised
        case HTTPException():
            return _refusal(raised, scope)
        case RequestValidationError():
            return invalid(raised.errors())
        case ClientDisconnect():
            return Problem(400, "the request ended before its body did")
        case OSError():  # the storage's are UserErrors too
            # without the path in the system's errors, which a client may have chosen
            why = raised if isinstance(raised, UserError) else raised.strerror or type(raised).__name__
            logger.error("%s %s: %s", *endpoint(scope), why)
            return storage_problem(raised)
        case _:  # a UserError, for errors in a request are Problems
            logger.error("%s %s: %s", *endpoint(scope), raised)
            return Problem(503, "what the storage holds cannot be used; the server's log says why")


def handle_problems(app: FastAPI) -> None:
    """Turns the framework's own errors, the storage's and unexpected ones into problem documents too."""

    async def answer(request: Request, raised: Exception) -> Response:
        return as_problem(raised, request.scope).response()

    for handled in HANDLED:
        app.add_exception_handler(handled, answer)
    app.add_middleware(ErrorsAsProblems)


def _refusal(raised: HTTPException, scope: Scope) -> Problem:
    """The framework's own, for a path or a method that it does not know."""
    path = scope["path"]
    explained = {404: f"there is nothing at {path}", 405: f"{path} does not support {scope['method']}"}
    headers = raised.headers
    if headers and headers.get("Allow") == "GET":
        headers = {"allow": "GET, HEAD"}
    return Problem(raised.status_code, explained.get(raised.status_code, str(raised.detail)), headers=headers)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that may answer with these problems."""
    schema = {"$ref": f"#/components/schemas/{ProblemDocument.__name__}"}
    return {
        status: {"description": HTTPStatus(status).phrase, "content": {MEDIA_TYPE: {"schema": schema}}}
        for status in statuses
    }


class ErrorsAsProblems:
    """Answers whatever `app` raises. Unexpected errors are logged, and the client gets only their id.

    Requests that are unanswered when the server stops get 503.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102 - ASGI's own
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except asyncio.CancelledError:
            if started:
                raise
            headers = {"retry-after": "1", "connection": "close"}
            await Problem(503, "the server stopped before it had an answer", headers=headers).response()(
                scope, receive, send
            )
        except HANDLED as raised:
            if started:
                raise
            await as_problem(raised, scope).response()(scope, receive, send)
        except Exception:
            instance = f"urn:uuid:{uuid4()}"
            logger.exception("%s %s failed unexpectedly: %s", *endpoint(scope), instance)
            if started:  # too late for another response: the server closes the connection
                raise
            problem = Problem(500, "the server failed; its log says why", instance=instance)
            await problem.response()(scope, receive, send)
