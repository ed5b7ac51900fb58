"""Servers to measure, and closed-loop load: each client waits for its answer before it sends the next request."""

import asyncio
import csv
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Self
from urllib.request import Request, urlopen

import psutil
import uvloop

from boatyard import registry
from boatyard.config.errors import UserError
from boatyard.registry import Reference
from boatyard.storage import open_storage

sys.path.append(str(Path(__file__).parents[1] / "tests"))  # shares the server process with the tests
import processes

BOATYARD = (sys.executable, "-m", "boatyard.api")
SERVERS = Path(__file__).parent / "servers"
MESSAGES = Path("data/raw/inbox.csv")
PATIENCE = 60  # seconds that a client waits for an answer
ANSWERS_A_CONNECTION = 10  # after these a client reconnects, so that a restarted server gets load again


def messages() -> list[str]:
    """The bundled messages to a bank."""
    with MESSAGES.open(newline="", encoding="utf-8") as file:
        return [row["text"] for row in csv.DictReader(file)]


def storage_with_model(folder: Path) -> Path:
    """A new storage, with a copy of the repository's inbox@production."""
    try:
        bundle = registry.fetch(open_storage(os.environ.get("BOATYARD_STORAGE") or "."), Reference("inbox"), folder)
    except UserError as error:
        sys.exit(f"{error}; `invoke pipeline` publishes inbox@production, the model that is measured")
    storage = open_storage(str(folder))
    registry.publish(storage, bundle.folder)
    registry.promote(storage, "inbox", bundle.manifest.version)
    return folder


class Server(processes.Server):
    """A server process whose CPU time and memory can be measured."""

    def wait_for_answer(self, body: str) -> None:
        """Until /predict returns 200 for it."""
        headers = {"Content-Type": "application/json"}
        request = Request(f"{self.url}/predict", body.encode(), headers)  # noqa: S310 - our own server
        while True:
            try:
                with urlopen(request, timeout=PATIENCE):  # noqa: S310
                    return
            except OSError:
                if self.process.poll() is not None:
                    raise RuntimeError(self.log.read_text()) from None
                time.sleep(self.poll_seconds)

    def restart(self) -> None:
        """After kill -9."""
        self.kill()
        self.start()

    @property
    def cpu_seconds(self) -> float:
        """CPU time so far, of all threads."""
        times = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(times[11]) + int(times[12])) / os.sysconf("SC_CLK_TCK")

    def megabytes(self, figure: str) -> float:
        """VmRSS, the current memory, or VmHWM, its peak since `reset_peak`; of the process and all its descendants."""
        parent = psutil.Process(self.process.pid)
        files = [Path(f"/proc/{process.pid}/status") for process in (parent, *parent.children(recursive=True))]
        return sum(int(file.read_text().partition(f"{figure}:")[2].split()[0]) * 1024 / 1e6 for file in files)

    def reset_peak(self) -> None:
        """Start measuring VmHWM anew."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")


def boatyard(storage: Path, command: Sequence[str] = BOATYARD) -> Server:
    """A server for inbox@production of a storage, which also holds its spool and its log."""
    settings = {"BOATYARD_STORAGE": str(storage), "BOATYARD_SPOOL": str(storage / "spool"), "BOATYARD_MODEL": "inbox"}
    return Server(command, storage / "server.log", **settings)


def write_body(text: str, body: str = "text") -> str:
    """The JSON body of a request, with the text under this key; under a plural key, a list of it."""
    return json.dumps({body: [text] if body.endswith("s") else text})


def write_bodies(path: Path, texts: Sequence[str], body: str = "text") -> Path:
    """Write one body per line, for `wrk`; returns the file."""
    path.write_text("".join(f"{write_body(text, body)}\n" for text in texts), encoding="utf-8")
    return path


def wrk(server: Server, bodies: Path, connections: int, seconds: float, *media_type: str) -> dict[str, float]:
    """Run wrk: answers `per_second`, `p50_ms`, `p95_ms`, `p99_ms`, how many were `refused` or `broken`, and the cores
    that wrk itself used, `asker_cores`."""  # fmt: skip
    if shutil.which("wrk") is None:
        sys.exit("wrk is not installed: apt install wrk")
    before, start = _children_seconds(), time.perf_counter()
    words = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "--timeout=30s", "-s", str(SERVERS / "ask.lua")]
    process = subprocess.run(
        [*words, server.url, "--", str(bodies), *media_type], check=True, capture_output=True, text=True
    )
    load: dict[str, float] = json.loads(next(line for line in process.stdout.splitlines() if line.startswith("{")))
    load["per_second"] = (load["answered"] - load["refused"]) / load["seconds"]
    load["asker_cores"] = (_children_seconds() - before) / (time.perf_counter() - start)
    return load


def _children_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


@dataclass
class Load:
    """Load by `clients`, each of which wants `answers_each` answers and alternates between the servers."""

    servers: Sequence[Server]
    clients: int
    answers_each: int = sys.maxsize
    seconds: float = float("inf")
    received: list[str] = field(default_factory=list)
    """The ids of the answers."""
    refused: int = 0
    """Answers with another status than 200; their clients retry."""
    broken: int = 0
    """Connections that broke; their clients turn to the next server."""
    took: float = 0.0

    def run(self) -> Self:
        """Run until every client has its answers, or the time is up."""
        uvloop.run(self.work())
        return self

    async def work(self) -> None:
        """The same, in a running event loop."""
        started = time.monotonic()
        head = "POST /predict HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: "
        bodies = [json.dumps({"text": text}).encode() for text in messages()]
        requests = [f"{head}{len(body)}\r\n\r\n".encode() + body for body in bodies]
        clients = [self._client(number, requests, started + self.seconds) for number in range(self.clients)]
        await asyncio.gather(*clients)
        self.took = time.monotonic() - started

    async def _client(self, number: int, requests: list[bytes], deadline: float) -> None:
        writer: asyncio.StreamWriter | None = None
        wanted, turns, answers = self.answers_each, count(number), 0
        while wanted and time.monotonic() < deadline:
            try:
                if writer is None:
                    server, answers = self.servers[next(turns) % len(self.servers)], 0
                    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
                writer.write(requests[(number + wanted * self.clients) % len(requests)])
                async with asyncio.timeout(PATIENCE):
                    head = (await reader.readuntil(b"\r\n\r\n")).lower()
                    body = await reader.readexactly(int(head.partition(b"content-length:")[2].split(b"\r\n")[0]))
            except (OSError, EOFError):
                self.broken += 1
                answers = ANSWERS_A_CONNECTION
                await asyncio.sleep(0.05)
            else:
                answers += 1
                if head.split(None, 2)[1] == b"200":
                    self.received.append(json.loads(body)["id"])
                    wanted -= 1
                else:
                    self.refused += 1
            if writer is not None and answers >= ANSWERS_A_CONNECTION:
                writer.close()
                writer = None
        if writer is not None:
            writer.close()
