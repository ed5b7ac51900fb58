"""Servers in this process and in processes of their own."""

import asyncio
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx
from processes import Server, free_port
from starlette.testclient import TestClient
from starlette.types import ASGIApp
from uvicorn import Config

from boatyard.api import Application
from boatyard.api.server import make_server
from boatyard.api.settings import Settings
from boatyard.registry import Reference

Serve = Callable[..., TestClient]

_T = TypeVar("_T")

# uvloop where it is installed: it differs from asyncio, for one in its timers
_NEW_LOOP = Config("").get_loop_factory()


def run_as_served(work: Coroutine[Any, Any, _T]) -> _T:
    """Run it on the event loop that uvicorn would choose."""
    with asyncio.Runner(loop_factory=_NEW_LOOP) as runner:
        return runner.run(work)


def client_as_served(app: ASGIApp, **options: Any) -> TestClient:
    """A client on the event loop that uvicorn would choose."""
    return TestClient(app, backend_options={"loop_factory": _NEW_LOOP}, **options)


def is_ready(url: str, path: str = "/readyz") -> bool:
    try:
        return httpx.get(f"{url}{path}", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


@contextmanager
def server_here(root: Path, **settings: Any) -> Iterator[str]:
    """The URL of a server on `root`/storage, on a real socket, in a thread of this process."""
    port = free_port()
    stored = {"storage": str(root / "storage"), "spool": str(root / "spool")}
    own = Settings(**{"model": Reference("ferry"), **stored, "port": port, **settings})
    server = make_server(Application(own), own)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(30)
    assert not thread.is_alive()


class ServiceProcess(Server):
    """`python -m MODULE` on a port of its own, ready once the path `ready` returns 200."""

    poll_seconds = 0.05  # a request takes longer than a connection

    def __init__(self, *module: str, ready: str, log: Path, **environment: str) -> None:
        super().__init__([sys.executable, "-m", *module], log, **environment)
        self._ready = ready

    def is_ready(self) -> bool:
        return is_ready(self.url, self._ready)


class ServerProcess(ServiceProcess):
    """`python -m boatyard.api`."""

    def __init__(self, storage: Path | str, log: Path, **environment: str) -> None:
        own = {
            "BOATYARD_STORAGE": str(storage),
            "BOATYARD_MODEL": "ferry",
            "BOATYARD_SPOOL": str(log.with_suffix(".spool")),
        }
        super().__init__("boatyard.api", ready="/readyz", log=log, **own | environment)


class MonitorProcess(ServiceProcess):
    """`python -m boatyard.monitor serve`."""

    def __init__(self, storage: Path | str, log: Path, **environment: str) -> None:
        own = {"BOATYARD_STORAGE": str(storage), "BOATYARD_MODEL": "ferry"}
        super().__init__("boatyard.monitor", "serve", ready="/readyz", log=log, **own | environment)
