"""Servers for tests, and real processes of them."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
from starlette.testclient import TestClient
from starlette.types import ASGIApp
from uvicorn import Config

from boatyard.api import create_app
from boatyard.api.server import make_server
from boatyard.api.settings import Settings

Serve = Callable[..., TestClient]

_T = TypeVar("_T")

# uvloop where there is one: its timers, for one, are not asyncio's
_NEW_LOOP = Config("").get_loop_factory()


def run_as_served(work: Coroutine[Any, Any, _T]) -> _T:
    """On the event loop that uvicorn would choose."""
    with asyncio.Runner(loop_factory=_NEW_LOOP) as runner:
        return runner.run(work)


def client_as_served(app: ASGIApp, **how: Any) -> TestClient:
    """Likewise."""
    return TestClient(app, backend_options={"loop_factory": _NEW_LOOP}, **how)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def is_ready(url: str, path: str = "/readyz") -> bool:
    try:
        return httpx.get(f"{url}{path}", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


@contextmanager
def server_here(root: Path, **settings: Any) -> Iterator[str]:
    """The address of a server on `root`/storage, on a real socket, in a thread of this process."""
    port = free_port()
    own = Settings(storage=str(root / "storage"), spool=str(root / "spool"), port=port, **settings)
    server = make_server(create_app(own), own)
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


class ServiceProcess:
    """`python -m MODULE` on a port of its own, ready when `with` is entered."""

    def __init__(self, *module: str, ready: str, log: Path, **environment: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = log
        self._module = module
        self._ready = ready
        self._environment = {"PORT": str(self.port), **environment}

    def launch(self) -> None:
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *self._module], env=os.environ | self._environment, stdout=log, stderr=log
            )

    def start(self) -> None:
        self.launch()
        try:
            self.wait()
        except BaseException:
            self.kill()
            raise

    def wait(self) -> None:
        limit = time.monotonic() + 120
        while not self.is_ready():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < limit, self.log.read_text()
            time.sleep(0.05)

    def is_ready(self) -> bool:
        return is_ready(self.url, self._ready)

    def stop(self) -> int:
        """As an operator stops it; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def kill(self) -> None:
        """As a crash does."""
        self.process.kill()
        self.process.wait(30)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, at: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.kill()


class ServerProcess(ServiceProcess):
    """`python -m boatyard.api`."""

    def __init__(self, storage: Path | str, log: Path, **environment: str) -> None:
        own = {
            "BOATYARD_STORAGE": str(storage),
            "BOATYARD_MODEL": "inbox",
            "BOATYARD_SPOOL": str(log.with_suffix(".spool")),
        }
        super().__init__("boatyard.api", ready="/readyz", log=log, **own | environment)


class MonitorProcess(ServiceProcess):
    """`python -m boatyard.monitor serve`."""

    def __init__(self, storage: Path | str, log: Path, **environment: str) -> None:
        own = {"BOATYARD_STORAGE": str(storage), "BOATYARD_MODEL": "inbox"}
        super().__init__("boatyard.monitor", "serve", ready="/readyz", log=log, **own | environment)
