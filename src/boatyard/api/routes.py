"""HTTP rules for all routes: HEAD is answered wherever GET is, unknown query parameters are refused, one goes first."""

from collections import Counter
from collections.abc import Collection, Iterator

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.datastructures import QueryParams
from starlette.routing import Match, Route
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


def is_at(scope: Scope, path: str) -> bool:
    """Whether a request is for this path, below what a proxy in front may have put before it."""
    asked: str = scope["path"]
    return asked.removeprefix(scope.get("root_path", "")) == path


class AsgiRoute(Route):
    """A route to an ASGI application. Like FastAPI's, it is recorded in the scope, which the outer middleware reads."""

    def __init__(self, path: str, app: ASGIApp, method: str) -> None:
        super().__init__(path, app, methods=[method])
        self.method = method
        self.app = app

    def matches(self, scope: Scope) -> tuple[Match, Scope]:  # noqa: D102 - Starlette's own
        match, child_scope = super().matches(scope)
        return match, {**child_scope, "route": self} if child_scope else child_scope


class Shortcut:
    """Middleware: the busiest route is taken before all others. The router keeps it, for requests by other methods."""

    def __init__(self, app: ASGIApp, route: AsgiRoute) -> None:
        self._app = app
        self._route = route

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102 - ASGI's own
        route = self._route
        if scope["type"] == "http" and scope["method"] == route.method and is_at(scope, route.path):
            scope["route"] = route
            await route.app(scope, receive, send)
        else:
            await self._app(scope, receive, send)


async def refuse_unknown_query(request: Request) -> None:
    """A dependency: only the route's own query parameters are allowed, each once. Raises Problem."""
    if request.scope["query_string"]:
        route: APIRoute = request.scope["route"]
        check_query(request.query_params, list(_query_names(route.dependant)))


def check_query(query: QueryParams, known: Collection[str]) -> None:
    """Raises a Problem that names each unknown parameter, with the most similar known one, and each repeated one."""
    counts = Counter(name for name, _ in query.multi_items())
    wrong = {name: why for name, times in counts.items() if (why := _what_is_wrong(name, times, known)) is not None}
    faults = [
        Fault(detail=f"{name[:_ECHOED_CHARACTERS]!r} {why}", parameter=name[:_ECHOED_CHARACTERS])
        for name, why in wrong.items()
    ]
    if faults:
        raise Problem(422, "; ".join(fault.detail for fault in faults[:3]), faults[:10])


def single_parameter(query: QueryParams, name: str) -> str | None:
    """The value of a parameter that must not be repeated. Raises Problem."""
    values = query.getlist(name)
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
