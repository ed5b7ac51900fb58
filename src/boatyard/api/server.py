"""Runs the app, and shuts it down without losing requests."""

from time import monotonic
from types import FrameType

import uvicorn
from starlette.datastructures import State
from threadpoolctl import threadpool_limits

from boatyard.api.application import Application
from boatyard.api.protocol import configured
from boatyard.api.settings import Settings
from boatyard.config.processes import REPEAT_SECONDS

FINISH_SECONDS = 5  # for requests in flight; with the drain and the journal's last segment within the usual 10


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


def make_server(app: Application, settings: Settings) -> DrainingServer:
    """The app's server, which listens once `run` is called."""
    config = configured(
        app,
        settings.host,
        settings.port,
        proxy_headers=False,  # neither the client's address nor the scheme is used
        timeout_graceful_shutdown=FINISH_SECONDS,
    )
    return DrainingServer(config, app.state, settings.drain_seconds)


def serve(app: Application, settings: Settings) -> int:
    """Listens until it is stopped. Returns the exit status."""
    server = make_server(app, settings)
    with threadpool_limits(1, user_api="blas"):  # runs fill the cores; NumPy's threads would spin beside them
        server.run()
    return 0 if server.started else 1
