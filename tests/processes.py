"""A server in a process of its own, for the tests and for benchmarks/."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

_START_SECONDS = 120


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


class Server:
    """A command that listens on a port of its own. `with` starts it, waits until it is ready, and kills it at the end.

    In the command `{port}` stands for the port, which is in the environment too, as PORT.
    """

    poll_seconds = 0.01

    def __init__(self, command: Sequence[str], log: Path, **environment: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = log
        self.command = [word.replace("{port}", str(self.port)) for word in command]
        self._environment = {"PORT": str(self.port), **environment}

    def launch(self) -> None:
        """Returns before it is ready."""
        environment = os.environ | self._environment
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                self.command, env=environment, stdout=log, stderr=log, start_new_session=True
            )

    def start(self) -> None:
        self.launch()
        try:
            self.wait()
        except BaseException:
            self.kill()
            raise

    def wait(self) -> None:
        """Until it is ready. Raises RuntimeError with the log if it ends or takes too long."""
        deadline = time.monotonic() + _START_SECONDS
        while not self.is_ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{' '.join(self.command)} is not ready: {self.log.read_text()}")
            time.sleep(self.poll_seconds)

    def is_ready(self) -> bool:
        """Whether it accepts connections."""
        try:
            socket.create_connection(("127.0.0.1", self.port)).close()
        except ConnectionRefusedError:
            return False
        return True

    def stop(self) -> int:
        """Send SIGTERM, as an operator does, and wait; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def kill(self) -> None:
        """Kill it and its descendants, as kill -9 does."""
        if os.name == "nt":
            self.process.kill()
        else:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(30)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, at: TracebackType | None
    ) -> None:
        self.kill()
