"""Runs the app, and shuts it down without losing requests."""

from time import monotonic
from types import FrameType

import uvicorn
from fastapi import FastAPI
from starlette.datastructures import MutableHeaders, State
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from boatyard.api.protocol import BoundedProtocol
from boatyard.api.settings import Settings
from boatyard.config.processes import REPEAT_SECONDS

FINISH_SECONDS = 5  # for requests in flight; with the drain and the journal's last segment within Cloud Run's 10


class DrainingServer(uvicorn.Server):
    """After the first signal it drains: it still answers but is no longer ready, so load balancers stop using it.

    Then it exits with status 0, since a signal to stop is not a failure. After a second signal it exits at once.
    """

    def __init__(self, config: uvicorn.Config, state: State, drain_seconds: float) -> None:
        super().__init__(config)
        self._state = state
        self._drain_seconds = drain_seconds
        self._signalled_at = self._ends_at = float("inf")

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002, D102 - uvicorn's own
        now = monotonic()
        if not self._state.draining:
            self._state.draining = True
            self._signalled_at, self._ends_at = now, now + self._drain_seconds
        elif now - self._signalled_at > REPEAT_SECONDS:
            self._ends_at = 0.0

    async def on_tick(self, counter: int) -> bool:  # noqa: D102 - ten times a second
        self.should_exit |= monotonic() >= self._ends_at
        return await super().on_tick(counter)


class ClosingConnections:
    """Middleware that closes connections while the server drains, so clients open their next one elsewhere."""

    def __init__(self, app: ASGIApp, state: State) -> None:
        self._app = app
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102 - ASGI's own
        async def closing(message: Message) -> None:
            if message["type"] == "http.response.start" and self._state.draining:
                MutableHeaders(scope=message)["connection"] = "close"
            await send(message)

        await self._app(scope, receive, closing)


def make_server(app: FastAPI, settings: Settings) -> DrainingServer:
    """The app's server, which listens once `run` is called."""
    app.add_middleware(ClosingConnections, state=app.state)
    config = uvicorn.Config(
        app,
        settings.host,
        settings.port,
        http=BoundedProtocol,
        ws="none",  # there are no WebSocket routes, and uvicorn's protocol for them has no limits
        log_config=None,  # configured by boatyard.config.logs
        access_log=False,
        timeout_graceful_shutdown=FINISH_SECONDS,
    )
    return DrainingServer(config, app.state, settings.drain_seconds)


def serve(app: FastAPI, settings: Settings) -> int:
    """Listens until it is stopped. Returns the exit status."""
    server = make_server(app, settings)
    server.run()
    return 0 if server.started else 1
