"""Answers a second over HTTP, beside other ways to serve the same weights:  python benchmarks/serve.py MODEL MESSAGES

MODEL is published here, such as banking77 after `uv run invoke pipeline -o data=banking77 -o data.path=FOLDER -o
model=minilm`; MESSAGES is a CSV file with a column text. The servers are asked one after the other, in rounds, by wrk
(apt install wrk hey), which takes a core's share itself; `uv run --with` fetches LitServe and BentoML. Writes
reports/benchmarks/serving.md and .json; fails where a goal is missed.
"""

import csv
import json
import os
import random
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import psutil
from open_loop import ask_at_rate
from report import write_report

from boatyard.bundle import Bundle
from boatyard.errors import UserError
from boatyard.kinds.text.serving import EncodedText, open_model
from boatyard.markdown import table
from boatyard.predict import GRAPH, allowed_cores
from boatyard.registry import Reference, fetch, parse_reference, resolve
from boatyard.storage import open_storage

SERVERS = Path(__file__).parent / "servers"
LITSERVE, BENTOML = "litserve==0.2.19", "bentoml==1.4.39"
CONNECTIONS = (1, 8, 32, 128)
ROUNDS = 3
OVERLOAD, OVERLOAD_SECONDS = 3, 60
SECONDS = 8
BATCHES = (1, 4, 8, 16, 32, 64)
GOALS = {"limit": 0.85, "plain": 15.0, "lit_onnx": 2.5, "lit_torch": 2.5, "bento": 1.0}
KEPT = 0.9  # of capacity, overloaded
MOST_SINGLE = 1.5  # p50 at one connection, in runs of the bare session

Load = dict[str, float]


@dataclass(frozen=True)
class Server:
    """A command that serves BUNDLE on PORT, and how it wants to be asked."""

    title: str
    command: Sequence[str]
    body: str = "text"
    needs: Sequence[str] = ()
    """What `uv run --with` adds."""

    def words(self, port: int) -> list[str]:
        """The whole command line."""
        runner = [*(["uv", "run", "--no-sync"] if self.needs else []), *(f"--with={need}" for need in self.needs)]
        return [*runner, *(word.format(port=port) for word in self.command)]


_PYTHON = sys.executable
SERVED = {
    "boatyard": Server("Boatyard", [_PYTHON, "-m", "boatyard.api"]),
    "plain": Server("the plain way: FastAPI, torch, one request a pass", [_PYTHON, str(SERVERS / "plain.py")]),
    "lit_torch": Server("LitServe, torch", ["python", str(SERVERS / "lit.py"), "torch"], needs=[LITSERVE]),
    "lit_onnx": Server("LitServe, the same graph", ["python", str(SERVERS / "lit.py"), "onnx"], needs=[LITSERVE]),
    "bento": Server(
        "BentoML, the same graph",
        ["bentoml", "serve", "bento:Classifier", "--working-dir", str(SERVERS), "--port={port}"],
        body="texts",
        needs=[BENTOML],
    ),
}


class Running:
    """A server's process and its descendants."""

    def __init__(self, server: Server, environment: Mapping[str, str], log: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        given = {**os.environ, **environment, "PORT": str(self.port)}
        with log.open("w") as output:
            self.started = time.perf_counter()
            self.process = subprocess.Popen(
                server.words(self.port), env=given, stdout=output, stderr=output, start_new_session=True
            )
        self.log = log

    def first_answer(self, body: bytes) -> float:
        """Seconds from its start to the first 200 of /predict."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/predict", body, {"Content-Type": "application/json"}
        )
        while time.perf_counter() - self.started < 120:
            if self.process.poll() is not None:
                break
            try:
                with urllib.request.urlopen(request, timeout=60):  # noqa: S310
                    return time.perf_counter() - self.started
            except OSError:
                time.sleep(0.01)
        sys.exit(f"the server does not answer:\n{self.log.read_text()}")

    def memory_megabytes(self, *, peak: bool = True) -> float:
        """Of all its processes together."""
        names = [f"/proc/{one.pid}/status" for one in [psutil.Process(self.process.pid), *self._children()]]
        wanted = "VmHWM:" if peak else "VmRSS:"
        lines = [line for name in names for line in Path(name).read_text().splitlines() if line.startswith(wanted)]
        return sum(int(line.split()[1]) for line in lines) / 1024

    def stop(self) -> None:
        """Ends it and whatever it started."""
        processes = [*self._children(), psutil.Process(self.process.pid)]
        self.process.send_signal(signal.SIGTERM)
        _, alive = psutil.wait_procs(processes, timeout=15)
        for one in alive:
            one.kill()
        self.process.wait()

    def _children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)


@contextmanager
def running(server: Server, environment: Mapping[str, str], folder: Path) -> Iterator[Running]:
    """A server for as long as the block lasts."""
    started = Running(server, environment, folder / "server.log")
    try:
        yield started
    finally:
        started.stop()


def ask(port: int, bodies: Path, connections: int, seconds: float = SECONDS) -> Load:
    """What wrk tells of a closed loop; `asker_cores` is what wrk took itself."""
    before, began = _children_seconds(), time.perf_counter()
    words = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout=30s", f"-s{SERVERS / 'ask.lua'}"]
    done = subprocess.run(
        [*words, f"http://127.0.0.1:{port}", "--", "/predict", str(bodies)], check=True, capture_output=True, text=True
    )
    load: Load = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("{")))
    load["per_second"] = (load["answered"] - load["refused"]) / load["seconds"]
    load["asker_cores"] = (_children_seconds() - before) / (time.perf_counter() - began)
    return load


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@dataclass
class Limit:
    """The bare session: no HTTP, no tokenising, all messages known beforehand and sorted by length."""

    bundle: Bundle
    texts: list[str]
    best: tuple[int, int, int] = (0, 0, 0)
    """Sessions side by side, threads of each, rows of a batch."""
    _sessions: dict[int, ort.InferenceSession] = field(default_factory=dict)

    def __post_init__(self) -> None:
        cores = allowed_cores()
        model = open_model(self.bundle.folder, self.bundle.manifest)
        rows = model.encode([model.parse({model.fields[0]: text}) for text in self.texts])
        self._arriving = [model.collate([row]) for row in rows]
        ordered = sorted(rows, key=lambda row: row.length)
        self._batches = {size: _batches(model.collate, ordered, size) for size in BATCHES}
        for threads in {1, cores}:
            options = ort.SessionOptions()
            options.intra_op_num_threads = threads
            self._sessions[threads] = ort.InferenceSession(
                self.bundle.folder / GRAPH, options, providers=["CPUExecutionProvider"]
            )
        self._inputs = [node.name for node in self._sessions[1].get_inputs()]
        layouts = {(cores, 1), (1, cores)}
        speeds = {(*layout, size): self.speed(*layout, size) for layout in layouts for size in BATCHES}
        self.best = max(speeds, key=speeds.__getitem__)

    def speed(self, sessions: int, threads: int, size: int) -> float:
        """Messages a second."""
        batches = list(self._batches[size])
        random.Random(0).shuffle(batches)  # noqa: S311
        session = self._sessions[threads]

        def run(share: Sequence[Any]) -> None:
            for feeds in share:
                self._run(session, feeds)

        run(batches[:2])
        with ThreadPoolExecutor(sessions) as pool:
            began = time.perf_counter()
            list(pool.map(run, [batches[one::sessions] for one in range(sessions)]))
            return len(self.texts) / (time.perf_counter() - began)

    def single_ms(self) -> float:
        """The median message alone, all cores on it."""
        session, taken = self._sessions[allowed_cores()], []
        for feeds in self._arriving[:500]:
            began = time.perf_counter()
            self._run(session, feeds)
            taken.append(time.perf_counter() - began)
        return 1000 * statistics.median(taken)

    def _run(self, session: ort.InferenceSession, feeds: Mapping[str, Any]) -> None:
        session.run(["probabilities"], {name: feeds[name] for name in self._inputs})


def _batches(collate: Any, rows: Sequence[EncodedText], size: int) -> list[Any]:
    return [collate(rows[start : start + size]) for start in range(0, len(rows), size)]


def fetched(model: str, folder: Path) -> tuple[Bundle, str]:
    """A published model, copied into `folder`, and the root of its storage. Raises UserError."""
    root = os.environ.get("BOATYARD_STORAGE", ".")
    storage, reference = open_storage(root), parse_reference(model)
    return fetch(storage, Reference(reference.name, resolve(storage, reference)), folder / "models"), root


def prepare(bundle: Bundle, storage: str, texts: Sequence[str], folder: Path) -> tuple[dict[str, str], dict[str, Path]]:
    """The servers' environment, and files of bodies to ask with."""
    environment = {
        "BUNDLE": str(bundle.folder.absolute()),
        "BOATYARD_STORAGE": storage,
        "BOATYARD_MODEL": f"{bundle.manifest.name}@{bundle.manifest.version}",
        "BOATYARD_SPOOL": str(folder / "spool"),
    }
    bodies = {"text": folder / "text.jsonl", "texts": folder / "texts.jsonl"}
    for name, path in bodies.items():
        lines = [json.dumps({name: text if name == "text" else [text]}) for text in texts]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return environment, bodies


def measure(
    bundle: Bundle, environment: Mapping[str, str], bodies: Mapping[str, Path], texts: list[str], folder: Path
) -> dict[str, Any]:
    """All servers in turn, `ROUNDS` times, each round beside the limit."""
    limit = Limit(bundle, texts)
    rounds: list[dict[str, Any]] = []
    for number in range(ROUNDS):
        one: dict[str, Any] = {"limit": limit.speed(*limit.best), "single_ms": limit.single_ms(), "servers": {}}
        for name, server in SERVED.items():
            with running(server, environment, folder) as started:
                first = started.first_answer(bodies[server.body].read_bytes().splitlines()[0])
                ask(started.port, bodies[server.body], 8, 2)
                loads = {count: ask(started.port, bodies[server.body], count) for count in CONNECTIONS}
                memory = started.memory_megabytes()
            one["servers"][name] = {"first_answer_s": first, "memory_mb": memory, "loads": loads}
            speeds = ", ".join(f"{count}: {load['per_second']:.0f}/s" for count, load in loads.items())
            print(f"round {number + 1}: {name}: {speeds} (limit {one['limit']:.0f}/s)", flush=True)  # noqa: T201
        rounds.append(one)
    return {"best": limit.best, "rounds": rounds}


def overload(environment: Mapping[str, str], bodies: Path, folder: Path) -> dict[str, Any]:
    """Three times what it can, at a fixed rate: what is still answered, how fast, and what memory does."""
    with running(SERVED["boatyard"], environment, folder) as started:
        lines = bodies.read_bytes().splitlines()
        started.first_answer(lines[0])
        ask(started.port, bodies, 128, 2)
        capacity = ask(started.port, bodies, 128)["per_second"]
        memory: list[float] = []
        ended = threading.Event()

        def watch() -> None:
            while not ended.wait(1):
                memory.append(started.memory_megabytes(peak=False))

        watching = threading.Thread(target=watch)
        watching.start()
        asked = ask_at_rate(started.port, lines, OVERLOAD * capacity, OVERLOAD_SECONDS)
        ended.set()
        watching.join()
        again = ask(started.port, bodies, 128)["per_second"]
    answered = asked.seconds.get(200, [])
    third = len(memory) // 3
    return {
        "capacity": capacity,
        "capacity_afterwards": again,
        "goodput": len(answered) / OVERLOAD_SECONDS,
        "p99_s": float(np.quantile(answered, 0.99)),
        "by_status": {status: len(seconds) for status, seconds in asked.seconds.items()},
        "refused_p50_ms": 1000 * float(np.median(asked.seconds.get(503, [0.0]))),
        "unanswered": asked.broken,
        "memory_mb_first_third": float(np.mean(memory[:third])),
        "memory_mb_last_third": float(np.mean(memory[-third:])),
    }


def report(measured: Mapping[str, Any], overloaded: Mapping[str, Any], given: Sequence[str]) -> list[str]:
    """Write it down; the goals that were missed."""
    rounds = measured["rounds"]

    def median(pick: Callable[[Any], float]) -> float:
        return statistics.median(pick(one) for one in rounds)

    def loads(name: str, connections: int, figure: str) -> float:
        return median(lambda one: one["servers"][name]["loads"][connections][figure])

    def share(name: str) -> float:
        """Of what the limit does with the cores that wrk leaves."""
        cores = allowed_cores()

        def of(one: Any) -> float:
            load = one["servers"][name]["loads"][32]
            return float(load["per_second"] / (one["limit"] * (1 - load["asker_cores"] / cores)))

        return median(of)

    ratios = {
        rival: median(
            lambda one, rival=rival: (
                one["servers"]["boatyard"]["loads"][32]["per_second"] / one["servers"][rival]["loads"][32]["per_second"]
            )
        )
        for rival in SERVED
        if rival != "boatyard"
    }
    ratios["limit"] = share("boatyard")
    single = median(lambda one: one["servers"]["boatyard"]["loads"][1]["p50_ms"] / one["single_ms"])
    missed = [f"{rival}: {ratios[rival]:.2f} of {goal:g}" for rival, goal in GOALS.items() if ratios[rival] < goal]
    if single > MOST_SINGLE:
        missed.append(f"alone: {single:.2f} of {MOST_SINGLE:g}")
    kept = overloaded["goodput"] / overloaded["capacity"]
    if kept < KEPT or set(overloaded["by_status"]) - {200, 503} or overloaded["unanswered"]:
        missed.append(f"overload: {kept:.2f} of {KEPT:g}, {overloaded['by_status']}")

    speeds, latencies = [], []
    for name, server in SERVED.items():
        memory = median(lambda one, name=name: one["servers"][name]["memory_mb"])
        perseconds = [f"{loads(name, count, 'per_second'):.0f}" for count in CONNECTIONS]
        speeds.append([server.title, *perseconds, f"{memory:.0f}", f"{share(name):.2f}"])
        parts = [[f"{loads(name, count, f'p{part}_ms'):.1f}" for part in (50, 95, 99)] for count in CONNECTIONS]
        latencies.append([server.title, *map(" / ".join, parts)])
    sessions, threads, size = measured["best"]
    limit, alone = median(lambda one: one["limit"]), median(lambda one: one["single_ms"])
    heads = [f"{count} connections" if count > 1 else "1 connection" for count in CONNECTIONS]
    command = f"python benchmarks/serve.py {' '.join(given)}"
    statuses = ", ".join(f"{count:,} times {status}" for status, count in sorted(overloaded["by_status"].items()))
    text = [
        "# Serving",
        "The same weights and the same messages, asked over HTTP by wrk in a closed loop. Answers a second, the peak "
        "memory of all processes in MB, and at 32 connections the share of what a bare ONNX Runtime session does with "
        "the cores that wrk leaves.",
        table(["", *heads, "memory", "of the limit"], speeds, align="l" + "r" * (len(heads) + 2)),
        f"The limit: {limit:.0f} a second, all messages known beforehand, encoded and sorted by length: {sessions} "
        f"sessions of {threads} thread(s), {size} in a batch. At 32 connections Boatyard answers {ratios['plain']:.1f} "
        f"times as much as the plain way, {ratios['lit_torch']:.1f} and {ratios['lit_onnx']:.1f} times LitServe on "
        f"torch and on the same graph, {ratios['bento']:.1f} times BentoML. LitServe and BentoML may batch 32 "
        f"and use all cores.",
        "Latency in ms, p50 / p95 / p99:",
        table(["", *heads], latencies, align="l" + "r" * len(heads)),
        f"A message alone takes a bare session {alone:.1f} ms; over HTTP, tokenising and journal included, "
        f"{single:.2f} times that.",
        "## Overload",
        f"{OVERLOAD} times the {overloaded['capacity']:.0f} a second that it answered 128 connections, at a fixed rate "
        f"for {OVERLOAD_SECONDS} s: {statuses}, {overloaded['unanswered']} without an answer. Answered "
        f"{overloaded['goodput']:.0f} a second ({kept:.2f} of capacity; who asks took its share of the cores), p99 "
        f"{overloaded['p99_s']:.2f} s, a refusal {overloaded['refused_p50_ms']:.0f} ms (median). Memory "
        f"{overloaded['memory_mb_first_third']:.0f} MB in the first third, {overloaded['memory_mb_last_third']:.0f} MB "
        f"in the last.",
        f"    {command}",
        f"Medians of {ROUNDS} rounds of {SECONDS} s each; ratios are of neighbours in a round. {LITSERVE}, {BENTOML}.",
    ]
    if missed:
        text.append(f"Goals missed: {'; '.join(missed)}.")
    facts = {"command": command, "ratios": ratios, "single": single, "measured": measured, "overload": overloaded}
    packages = ["boatyard", "onnxruntime", "tokenizers", "fastapi", "uvicorn", "torch", "transformers"]
    write_report("serving", text, facts, packages)
    return missed


def main() -> int:
    """Measure and write the report; 1 where a goal is missed, 2 where something to measure with is."""
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    if shutil.which("wrk") is None:
        print("wrk is not installed: apt install wrk", file=sys.stderr)  # noqa: T201
        return 2
    given = sys.argv[1:]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        try:
            bundle, root = fetched(given[0], folder)
            with Path(given[1]).open(encoding="utf-8", newline="") as file:
                texts = [row["text"] for row in csv.DictReader(file)]
        except (UserError, OSError, KeyError) as wrong:
            print(f"serve: {wrong}", file=sys.stderr)  # noqa: T201
            return 2
        random.Random(0).shuffle(texts)  # noqa: S311
        environment, bodies = prepare(bundle, root, texts, folder)
        measured = measure(bundle, environment, bodies, texts, folder)
        overloaded = overload(environment, bodies["text"], folder)
    if missed := report(measured, overloaded, given):
        print("missed: " + "; ".join(missed), file=sys.stderr)  # noqa: T201
    return bool(missed)


if __name__ == "__main__":
    sys.exit(main())
