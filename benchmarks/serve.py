"""Throughput over HTTP, beside other ways to serve the same weights:  python benchmarks/serve.py MODEL MESSAGES

MODEL is published here, such as banking77 after `uv run invoke pipeline -o data=banking77 -o data.path=FOLDER -o
model=minilm`; MESSAGES is a CSV file with a column text. The servers take turns, in rounds, under load from wrk (apt
install wrk), which itself uses part of a core; `uv run --with` fetches LitServe and BentoML. Writes
reports/benchmarks/serving.md and .json; fails if a goal is missed.
"""

import csv
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from load import BOATYARD, SERVERS, Server, write_bodies, write_body, wrk
from open_loop import ask_at_rate
from report import write_report

from boatyard.bundle.manifest import Bundle
from boatyard.bundle.predict import GRAPH, allowed_cores
from boatyard.config.errors import UserError
from boatyard.evaluate.markdown import table
from boatyard.inputs.text.serving import EncodedText, open_input
from boatyard.registry import Reference, fetch, parse_reference, resolve
from boatyard.storage import open_storage

LITSERVE, BENTOML = "litserve==0.2.19", "bentoml==1.4.39"
CONNECTIONS = (1, 8, 32, 128)
ROUNDS = 3
OVERLOAD, OVERLOAD_SECONDS = 3, 60
SECONDS = 6
BATCHES = (1, 4, 8, 16, 32, 64)
GOALS = {"limit": 0.85, "plain": 15.0, "lit_onnx": 2.5, "lit_torch": 2.5, "bento": 1.0}
LEAST_GOODPUT = 0.9  # of capacity, when overloaded
MOST_SINGLE = 1.5  # p50 at one connection, relative to the bare session


@dataclass(frozen=True)
class Contender:
    """A way to serve BUNDLE on PORT, and the key of the text in its request body."""

    title: str
    command: Sequence[str]
    body: str = "text"


def _with(package: str) -> list[str]:
    return ["uv", "run", "--no-sync", f"--with={package}"]


CONTENDERS = {
    "boatyard": Contender("Boatyard", BOATYARD),
    "plain": Contender(
        "the plain way: FastAPI, torch, one request a pass of 128 tokens", [sys.executable, str(SERVERS / "plain.py")]
    ),
    "lit_torch": Contender("LitServe, torch", [*_with(LITSERVE), "python", str(SERVERS / "lit.py"), "torch"]),
    "lit_onnx": Contender("LitServe, the same graph", [*_with(LITSERVE), "python", str(SERVERS / "lit.py"), "onnx"]),
    "bento": Contender(
        "BentoML, the same graph",
        [*_with(BENTOML), "bentoml", "serve", "bento:Classifier", f"--working-dir={SERVERS}", "--port={port}"],
        body="texts",
    ),
}


@dataclass
class Limit:
    """An upper bound: bare sessions, without HTTP and tokenising, on messages that are sorted by length in advance."""

    bundle: Bundle
    texts: list[str]
    best: tuple[int, int, int] = (0, 0, 0)
    """Concurrent sessions, threads of each, rows per batch."""
    _sessions: dict[int, ort.InferenceSession] = field(default_factory=dict)

    def __post_init__(self) -> None:
        cores = allowed_cores()
        model = open_input(self.bundle.folder, self.bundle.manifest)
        rows = model.encode([model.parse({model.fields[0]: text}) for text in self.texts])
        self._arriving = [model.collate([row]) for row in rows]
        ordered = sorted(rows, key=lambda row: row.cost)
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

    def speed(self, sessions: int, threads: int, size: int, seconds: float = 0) -> float:
        """Messages per second, over as many passes as take this long."""
        batches = list(self._batches[size])
        random.Random(0).shuffle(batches)  # noqa: S311
        session = self._sessions[threads]

        def run(share: Sequence[Any]) -> None:
            for feeds in share:
                self._run(session, feeds)

        run(batches[:2])
        passes, start = 0, time.perf_counter()
        with ThreadPoolExecutor(sessions) as pool:
            while passes == 0 or time.perf_counter() - start < seconds:
                list(pool.map(run, [batches[first::sessions] for first in range(sessions)]))
                passes += 1
        return passes * len(self.texts) / (time.perf_counter() - start)

    def single_ms(self, threads: int) -> float:
        """The median time of a single message, with this many threads."""
        session, times = self._sessions[threads], []
        for feeds in self._arriving[:500]:
            start = time.perf_counter()
            self._run(session, feeds)
            times.append(time.perf_counter() - start)
        return 1000 * statistics.median(times)

    def _run(self, session: ort.InferenceSession, feeds: Mapping[str, Any]) -> None:
        session.run(["probabilities"], {name: feeds[name] for name in self._inputs})


def _batches(collate: Any, rows: Sequence[EncodedText], size: int) -> list[Any]:
    return [collate(rows[first : first + size]) for first in range(0, len(rows), size)]


def fetch_model(model: str, folder: Path) -> tuple[Bundle, str]:
    """Copy a published model into `folder`; returns it and the root of its storage. Raises UserError."""
    root = os.environ.get("BOATYARD_STORAGE", ".")
    storage, reference = open_storage(root), parse_reference(model)
    return fetch(storage, Reference(reference.name, resolve(storage, reference)), folder / "models"), root


def environment(bundle: Bundle, root: str, folder: Path) -> dict[str, str]:
    """The environment of every contender."""
    return {
        "BUNDLE": str(bundle.folder.absolute()),
        "BOATYARD_STORAGE": root,
        "BOATYARD_MODEL": f"{bundle.manifest.name}@{bundle.manifest.version}",
        "BOATYARD_SPOOL": str(folder / "spool"),
    }


def measure(bundle: Bundle, settings: Mapping[str, str], texts: list[str], folder: Path) -> dict[str, Any]:
    """All contenders in turn, `ROUNDS` times; each round measures the upper bound too."""
    bodies = {body: write_bodies(folder / f"{body}.jsonl", texts, body) for body in ("text", "texts")}
    limit = Limit(bundle, texts)
    rounds: list[dict[str, Any]] = []
    for number in range(ROUNDS):
        one: dict[str, Any] = {"limit": limit.speed(*limit.best, SECONDS), "servers": {}}
        one |= {"single_ms": limit.single_ms(allowed_cores()), "single_thread_ms": limit.single_ms(1)}
        for name, contender in CONTENDERS.items():
            one["servers"][name] = ask(contender, settings, bodies[contender.body], CONNECTIONS, folder)
            loads = one["servers"][name]["loads"]
            speeds = ", ".join(f"{count}: {load['per_second']:.0f}/s" for count, load in loads.items())
            print(f"round {number + 1}: {name}: {speeds} (limit {one['limit']:.0f}/s)", flush=True)  # noqa: T201
        rounds.append(one)
    return {"best": limit.best, "rounds": rounds}


def ask(
    contender: Contender, settings: Mapping[str, str], requests: Path, connections: Sequence[int], folder: Path
) -> dict[str, Any]:
    """Start it and send it the requests of a file over so many connections, one number after another."""
    with Server(contender.command, folder / "server.log", **settings) as server:
        with requests.open(encoding="utf-8") as bodies:
            server.wait_for_answer(next(bodies).rstrip())
        wrk(server, requests, 8, 2)
        loads = {count: wrk(server, requests, count, SECONDS) for count in connections}
        memory = server.megabytes("VmHWM")
        with suppress(subprocess.TimeoutExpired):
            server.stop()
    return {"memory_mb": memory, "loads": loads}


def overload(settings: Mapping[str, str], texts: list[str], folder: Path) -> dict[str, Any]:
    """Three times its capacity, at a fixed rate: goodput, latency and memory."""
    bodies = write_bodies(folder / "text.jsonl", texts)
    with Server(BOATYARD, folder / "server.log", **settings) as server:
        server.wait_for_answer(write_body(texts[0]))
        wrk(server, bodies, 128, 2)
        capacity = wrk(server, bodies, 128, SECONDS)["per_second"]
        memory: list[float] = []
        stop = threading.Event()

        def watch() -> None:
            while not stop.wait(1):
                memory.append(server.megabytes("VmRSS"))

        watcher = threading.Thread(target=watch)
        watcher.start()
        requests = bodies.read_bytes().splitlines()
        outcome = ask_at_rate(server.port, requests, OVERLOAD * capacity, OVERLOAD_SECONDS)
        stop.set()
        watcher.join()
        again = wrk(server, bodies, 128, SECONDS)["per_second"]
        server.stop()
    answered = outcome.seconds.get(200, [])
    third = len(memory) // 3
    return {
        "capacity": capacity,
        "capacity_afterwards": again,
        "goodput": len(answered) / OVERLOAD_SECONDS,
        "asker_cores": outcome.asker_cores,
        "p99_s": float(np.quantile(answered, 0.99)),
        "by_status": {status: len(seconds) for status, seconds in outcome.seconds.items()},
        "refused_p50_ms": 1000 * float(np.median(outcome.seconds.get(503, [0.0]))),
        "unanswered": outcome.broken,
        "memory_mb_first_third": float(np.mean(memory[:third])),
        "memory_mb_last_third": float(np.mean(memory[-third:])),
    }


def report(measured: Mapping[str, Any], overloaded: Mapping[str, Any], arguments: Sequence[str]) -> list[str]:
    """Write the report; returns the goals that are missed."""
    rounds = measured["rounds"]

    def median(pick: Callable[[Any], float]) -> float:
        return statistics.median(pick(one) for one in rounds)

    def loads(name: str, connections: int, figure: str) -> float:
        return median(lambda one: one["servers"][name]["loads"][connections][figure])

    def share(name: str) -> float:
        """Relative to the upper bound on the cores that wrk leaves."""
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
        for rival in CONTENDERS
        if rival != "boatyard"
    }
    ratios["limit"] = share("boatyard")
    single = median(lambda one: one["servers"]["boatyard"]["loads"][1]["p50_ms"] / one["single_ms"])
    missed = [f"{rival}: {ratios[rival]:.2f} of {goal:g}" for rival, goal in GOALS.items() if ratios[rival] < goal]
    if single > MOST_SINGLE:
        missed.append(f"alone: {single:.2f} of {MOST_SINGLE:g}")
    kept = overloaded["goodput"] / (overloaded["capacity"] * (1 - overloaded["asker_cores"] / allowed_cores()))
    if kept < LEAST_GOODPUT or set(overloaded["by_status"]) - {200, 503} or overloaded["unanswered"]:
        missed.append(f"overload: {kept:.2f} of {LEAST_GOODPUT:g}, {overloaded['by_status']}")

    speeds, latencies = [], []
    for name, contender in CONTENDERS.items():
        memory = median(lambda one, name=name: one["servers"][name]["memory_mb"])
        perseconds = [f"{loads(name, count, 'per_second'):.0f}" for count in CONNECTIONS]
        speeds.append([contender.title, *perseconds, f"{memory:.0f}", f"{share(name):.2f}"])
        parts = [[f"{loads(name, count, f'p{part}_ms'):.1f}" for part in (50, 95, 99)] for count in CONNECTIONS]
        latencies.append([contender.title, *map(" / ".join, parts)])
    sessions, threads, size = measured["best"]
    limit, alone = median(lambda one: one["limit"]), median(lambda one: one["single_ms"])
    on_one = median(lambda one: one["single_thread_ms"])
    heads = [f"at {count}" for count in CONNECTIONS]
    command = f"python benchmarks/serve.py {' '.join(arguments)}"
    statuses = ", ".join(f"{count:,} times {status}" for status, count in sorted(overloaded["by_status"].items()))
    text = [
        "# Serving",
        "The same weights and the same messages, requested over HTTP by wrk in a closed loop. Answers a second at 1 to "
        "128 connections, the peak memory of all processes in MB, and at 32 connections the share of what a bare ONNX "
        "Runtime session does with the cores that wrk leaves.",
        table(["", *heads, "memory", "of the limit"], speeds, align="l" + "r" * (len(heads) + 2)),
        f"The limit: {limit:.0f} a second, all messages known beforehand, encoded and sorted by length: {sessions} "
        f"sessions of {threads} thread(s), {size} in a batch. At 32 connections Boatyard answers "
        f"{ratios['lit_onnx']:.1f} times as much as LitServe and {ratios['bento']:.1f} times as much as BentoML on the "
        f"same graph, and {ratios['lit_torch']:.1f} times as much as LitServe on torch. Both may batch 32, pad to a "
        "batch's longest text and use all cores. The plain way, which pads every text to 128 tokens, is for scale: "
        "what batches and little padding are worth.",
        "Latency in ms at so many connections, p50 / p95 / p99:",
        table(["", *heads], latencies, align="l" + "r" * len(heads)),
        f"A message alone takes a bare session {alone:.1f} ms on all cores, {on_one:.1f} on one, as in Boatyard; "
        f"over HTTP, tokenising and journal included, {single:.2f} times the former.",
        "## Overload",
        f"{OVERLOAD} times the {overloaded['capacity']:.0f} a second that it answered 128 connections, at a fixed rate "
        f"for {OVERLOAD_SECONDS} s: {statuses}, {overloaded['unanswered']} without an answer. Answered "
        f"{overloaded['goodput']:.0f} a second, {kept:.2f} of capacity less the {overloaded['asker_cores']:.2f} cores "
        f"that asking takes; p99 {overloaded['p99_s']:.2f} s, a refusal {overloaded['refused_p50_ms']:.0f} ms "
        f"(median). Memory {overloaded['memory_mb_first_third']:.0f} MB in the first third, "
        f"{overloaded['memory_mb_last_third']:.0f} MB in the last.",
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
    """Measure and write the report; returns 1 if a goal is missed, 2 if the model or the messages cannot be read."""
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    arguments = sys.argv[1:]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        try:
            bundle, root = fetch_model(arguments[0], folder)
            with Path(arguments[1]).open(encoding="utf-8", newline="") as file:
                texts = [row["text"] for row in csv.DictReader(file)]
        except (UserError, OSError, KeyError) as error:
            print(f"serve: {error}", file=sys.stderr)  # noqa: T201
            return 2
        random.Random(0).shuffle(texts)  # noqa: S311
        settings = environment(bundle, root, folder)
        measured = measure(bundle, settings, texts, folder)
        overloaded = overload(settings, texts, folder)
    if missed := report(measured, overloaded, arguments):
        print("missed: " + "; ".join(missed), file=sys.stderr)  # noqa: T201
    return bool(missed)


if __name__ == "__main__":
    sys.exit(main())
