"""HTTP rules for all routes: HEAD is answered wherever GET is, and unknown query parameters are refused."""

from collections import Counter
from collections.abc import Collection, Iterator

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from boatyard.api.problems import Fault, Problem
from boatyard.config.errors import suggestion

_ECHOED_CHARACTERS = 60


class HeadRequests:
    """Middleware: HEAD is answered like GET, without the body. No route needs to declare it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102 - ASGI's own
        if scope["type"] != "http" or scope["method"] != "HEAD":
            return await self._app(scope, receive, send)

        async def without_body(message: Message) -> None:
            await send({**message, "body": b""} if "body" in message else message)

        as_get = {**scope, "method": "GET"}
        try:
            await self._app(as_get, receive, without_body)
        finally:
            if "route" in as_get:  # which the outer middleware reads
                scope["route"] = as_get["route"]


async def refuse_unknown_query(request: Request) -> None:
    """A dependency: only the route's own query parameters are allowed, each once. Raises Problem."""
    if request.scope["query_string"]:
        route: APIRoute = request.scope["route"]
        check_query(request, list(_query_names(route.dependant)))


def check_query(request: Request, known: Collection[str]) -> None:
    """Raises a Problem that names each unknown parameter, with the most similar known one, and each repeated one."""
    counts = Counter(name for name, _ in request.query_params.multi_items())
    wrong = {name: why for name, times in counts.items() if (why := _what_is_wrong(name, times, known)) is not None}
    faults = [
        Fault(detail=f"{name[:_ECHOED_CHARACTERS]!r} {why}", parameter=name[:_ECHOED_CHARACTERS])
        for name, why in wrong.items()
    ]
    if faults:
        raise Problem(422, "; ".join(fault.detail for fault in faults[:3]), faults[:10])


def single_parameter(request: Request, name: str) -> str | None:
    """The value of a parameter that must not be repeated. Raises Problem."""
    values = request.query_params.getlist(name)
    if len(values) > 1:
        fault = Fault(detail=f"{name!r} is given {len(values)} times", parameter=name)
        raise Problem(422, fault.detail, [fault])
    return values[0] if values else None


def _what_is_wrong(name: str, times: int, known: Collection[str]) -> str | None:
    if name in known:
        return None if times == 1 else f"is given {times} times"
    if not known:
        return "is unknown: no query parameters are taken here"
    return f"is unknown; {suggestion(name.lower().replace('-', '_'), sorted(known))}"


def _query_names(dependant: Dependant) -> Iterator[str]:
    yield from (field.alias for field in dependant.query_params)
    for inner in dependant.dependencies:
        yield from _query_names(inner)
