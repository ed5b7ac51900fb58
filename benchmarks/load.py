"""Servers to measure, and many clients at once. A client sends a request, waits for its answer, and sends the next."""

import asyncio
import csv
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.request import Request, urlopen

import psutil
import uvloop

from boatyard import registry
from boatyard.config.errors import UserError
from boatyard.registry import Reference
from boatyard.storage import open_storage

BOATYARD = (sys.executable, "-m", "boatyard.api")
SERVERS = Path(__file__).parent / "servers"
MESSAGES = Path("data/raw/inbox.csv")
PATIENCE = 60  # seconds, of a client
ANSWERS_A_CONNECTION = 10  # then a client opens the next, so that a server that is back is asked again


def messages() -> list[str]:
    """Real ones, as people wrote them to a bank."""
    with MESSAGES.open(newline="", encoding="utf-8") as file:
        return [row["text"] for row in csv.DictReader(file)]


def storage_with_model(folder: Path) -> Path:
    """A storage of its own, with what inbox@production means in the repository's."""
    try:
        bundle = registry.fetch(open_storage(os.environ.get("BOATYARD_STORAGE") or "."), Reference("inbox"), folder)
    except UserError as absent:
        sys.exit(f"{absent}; `invoke pipeline` publishes inbox@production, the model that is measured")
    storage = open_storage(str(folder))
    registry.publish(storage, bundle.folder)
    registry.promote(storage, "inbox", bundle.manifest.version)
    return folder


class Server:
    """A process that listens on a port of its own, and its descendants. It logs to a file in its folder."""

    def __init__(self, command: Sequence[str], folder: Path, **environment: str) -> None:
        """`command`: its words, in which `{port}` stands for the port; it is in the environment too, as PORT."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._command = [word.replace("{port}", str(self.port)) for word in command]
        self._log = folder / "server.log"
        self._environment = os.environ | environment | {"PORT": str(self.port)}

    def start(self) -> None:
        """Returns once it listens."""
        with self._log.open("a") as log:
            self._process = subprocess.Popen(
                self._command, env=self._environment, stdout=log, stderr=log, start_new_session=True
            )
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
            except ConnectionRefusedError:
                self._check()
                time.sleep(0.01)
            else:
                return

    def wait(self, text: str, body: str = "text") -> None:
        """Until /predict answers with 200. `body`: as for `write_bodies`."""
        headers = {"Content-Type": "application/json"}
        request = Request(f"{self.url}/predict", write_body(text, body).encode(), headers)  # noqa: S310 - our own server
        while True:
            try:
                with urlopen(request, timeout=PATIENCE):  # noqa: S310
                    return
            except OSError:
                self._check()
                time.sleep(0.01)

    def kill(self) -> None:
        """As kill -9 does."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def restart(self) -> None:
        """After kill -9."""
        self.kill()
        self.start()

    def stop(self) -> None:
        """As an operator does."""
        self._process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(PATIENCE)
        self.kill()

    @property
    def cpu_seconds(self) -> float:
        """What it has computed so far, in all its threads."""
        times = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(times[11]) + int(times[12])) / os.sysconf("SC_CLK_TCK")

    def megabytes(self, figure: str) -> float:
        """VmRSS, what it takes now, or VmHWM, the most since `forget_peak`; with all its descendants."""
        first = psutil.Process(self._process.pid)
        files = [Path(f"/proc/{one.pid}/status") for one in (first, *first.children(recursive=True))]
        return sum(int(file.read_text().partition(f"{figure}:")[2].split()[0]) * 1024 / 1e6 for file in files)

    def forget_peak(self) -> None:
        """VmHWM counts anew."""
        Path(f"/proc/{self._process.pid}/clear_refs").write_text("5")

    def _check(self) -> None:
        if self._process.poll() is not None:
            sys.exit(f"{' '.join(self._command)} ended: {self._log.read_text()[-2000:]}")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, at: TracebackType | None
    ) -> None:
        self.kill()


def boatyard(storage: Path, command: Sequence[str] = BOATYARD) -> Server:
    """Serves inbox@production of a storage; journal's spool and log lie in it."""
    own = {"BOATYARD_STORAGE": str(storage), "BOATYARD_SPOOL": str(storage / "spool"), "BOATYARD_MODEL": "inbox"}
    return Server(command, storage, **own)


def write_body(text: str, body: str = "text") -> str:
    """A request's body: the text under that name; under a plural, a list of it."""
    return json.dumps({body: [text] if body.endswith("s") else text})


def write_bodies(path: Path, texts: Sequence[str], body: str = "text") -> Path:
    """A line for each request that `wrk` is to make."""
    path.write_text("".join(f"{write_body(text, body)}\n" for text in texts), encoding="utf-8")
    return path


def wrk(server: Server, bodies: Path, connections: int, seconds: float) -> dict[str, float]:
    """What wrk tells of a closed loop: answers `per_second`, `p50_ms`, `p95_ms`, `p99_ms`, how many were `refused` or
    `broken`, and the cores that it took itself, `asker_cores`."""  # fmt: skip
    if shutil.which("wrk") is None:
        sys.exit("wrk is not installed: apt install wrk")
    before, began = _children_seconds(), time.perf_counter()
    words = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "--timeout=30s", "-s", str(SERVERS / "ask.lua")]
    done = subprocess.run([*words, server.url, "--", str(bodies)], check=True, capture_output=True, text=True)
    load: dict[str, float] = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("{")))
    load["per_second"] = (load["answered"] - load["refused"]) / load["seconds"]
    load["asker_cores"] = (_children_seconds() - before) / (time.perf_counter() - began)
    return load


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@dataclass
class Load:
    """`clients` that want as many answers each, from one server after the other; `received`: the answers' ids."""

    servers: Sequence[Server]
    clients: int
    answers_each: int = sys.maxsize
    seconds: float = float("inf")
    received: list[str] = field(default_factory=list)
    refused: int = 0
    """Answers with another status than 200; their clients ask again."""
    broken: int = 0
    """Connections that broke; their clients ask the next server."""
    took: float = 0.0

    def run(self) -> Self:
        """Until every client has its answers, or the time is over."""
        uvloop.run(self.work())
        return self

    async def work(self) -> None:
        """The same, in an event loop."""
        started = time.monotonic()
        head = "POST /predict HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: "
        bodies = [json.dumps({"text": text}).encode() for text in messages()]
        requests = [f"{head}{len(body)}\r\n\r\n".encode() + body for body in bodies]
        asking = [self._ask(number, requests, started + self.seconds) for number in range(self.clients)]
        await asyncio.gather(*asking)
        self.took = time.monotonic() - started

    async def _ask(self, number: int, requests: list[bytes], until: float) -> None:
        writer: asyncio.StreamWriter | None = None
        wanted, turns, here = self.answers_each, count(number), 0
        while wanted and time.monotonic() < until:
            try:
                if writer is None:
                    server, here = self.servers[next(turns) % len(self.servers)], 0
                    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
                writer.write(requests[(number + wanted * self.clients) % len(requests)])
                async with asyncio.timeout(PATIENCE):
                    head = (await reader.readuntil(b"\r\n\r\n")).lower()
                    body = await reader.readexactly(int(head.partition(b"content-length:")[2].split(b"\r\n")[0]))
            except (OSError, EOFError):
                self.broken += 1
                here = ANSWERS_A_CONNECTION
                await asyncio.sleep(0.05)
            else:
                here += 1
                if head.split(None, 2)[1] == b"200":
                    self.received.append(json.loads(body)["id"])
                    wanted -= 1
                else:
                    self.refused += 1
            if writer is not None and here >= ANSWERS_A_CONNECTION:
                writer.close()
                writer = None
        if writer is not None:
            writer.close()
