"""Throughput over HTTP, beside other ways to serve the same weights:

    python benchmarks/serve.py MODEL MESSAGES [--before COMMIT] [--before-model MODEL]

MODEL is published here, such as banking77 after `uv run invoke pipeline -o data=banking77 -o data.path=FOLDER -o
model=minilm`; MESSAGES is a CSV file with a column text. The servers take turns, in rounds, under load from wrk (apt
install wrk), which itself uses part of a core; `uv run --with` fetches LitServe and BentoML. With --before, the server
of that commit takes its turns too, on the same packages, and if --before-model is given with what that commit exported.
Writes reports/benchmarks/serving.md and .json; fails if a goal is missed.
"""

import argparse
import csv
import os
import random
import statistics
import subprocess
import sys
import tarfile
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from limit import Limit
from load import BOATYARD, SERVERS, Server, write_bodies, write_body, wrk
from open_loop import ask_at_rate
from report import write_report

from boatyard.bundle.manifest import Bundle
from boatyard.config.errors import UserError
from boatyard.config.processes import allowed_cores
from boatyard.evaluate.markdown import table
from boatyard.registry import Reference, fetch, parse_reference, resolve
from boatyard.storage import open_storage

LITSERVE, BENTOML = "litserve==0.2.19", "bentoml==1.4.39"
BEFORE = "before"
CONNECTIONS = (1, 8, 32, 128)
ROUNDS = 3
OVERLOAD, OVERLOAD_SECONDS = 3, 60
SECONDS = 6
GOALS = {
    "limit": 0.75,
    "limit_before": 0.85,
    "plain": 15.0,
    "lit_onnx": 3.0,
    "lit_torch": 2.5,
    "bento": 3.0,
    "tei": 1.0,
}
"""Ratios at 32 connections."""
GAINS = {1: 1.2, 8: 1.35, 32: 1.35, 128: 1.4}
"""Of the commit before, by connections."""
LEAST_GOODPUT = 0.9  # of capacity, when overloaded
MOST_SINGLE = 1.5  # p50 at one connection, relative to the bare session


@dataclass(frozen=True)
class Contender:
    """A way to serve BUNDLE on PORT, and the key of the text in its request body."""

    title: str
    command: Sequence[str]
    body: str = "text"
    environment: Mapping[str, str] = field(default_factory=dict)


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
    "tei": Contender(
        "text-embeddings-inference's batching, rebuilt, the same graph", [sys.executable, str(SERVERS / "tei.py")]
    ),
}


def fetch_model(model: str, folder: Path) -> tuple[Bundle, str]:
    """Copy a published model into `folder`; returns it and the root of its storage. Raises UserError."""
    root = os.environ.get("BOATYARD_STORAGE", ".")
    storage, reference = open_storage(root), parse_reference(model)
    return fetch(storage, Reference(reference.name, resolve(storage, reference)), folder / "models"), root


def before(commit: str, bundle: Bundle, folder: Path) -> Contender:
    """The server as it was at a commit of this repository, for a bundle."""
    packed = folder / "before.tar"
    subprocess.run(["git", "archive", f"--output={packed}", commit, "src"], check=True)
    with tarfile.open(packed) as archive:
        archive.extractall(folder / "before", filter="data")
    environment = {"PYTHONPATH": str(folder / "before" / "src"), "BOATYARD_MODEL": _exact(bundle)}
    return Contender(f"Boatyard at {commit}", BOATYARD, environment=environment)


def environment(bundle: Bundle, root: str, folder: Path) -> dict[str, str]:
    """The environment of every contender."""
    return {
        "BUNDLE": str(bundle.folder.absolute()),
        "BOATYARD_STORAGE": root,
        "BOATYARD_MODEL": _exact(bundle),
        "BOATYARD_SPOOL": str(folder / "spool"),
    }


def _exact(bundle: Bundle) -> str:
    return f"{bundle.manifest.name}@{bundle.manifest.version}"


def measure(
    contenders: Mapping[str, Contender],
    limits: Mapping[str, Limit],
    settings: Mapping[str, str],
    texts: list[str],
    folder: Path,
) -> list[dict[str, Any]]:
    """All contenders in turn, `ROUNDS` times; each round measures the upper bounds too."""
    bodies = {body: write_bodies(folder / f"{body}.jsonl", texts, body) for body in ("text", "texts")}
    rounds: list[dict[str, Any]] = []
    for number in range(ROUNDS):
        one: dict[str, Any] = {"servers": {}}
        for name, limit in limits.items():
            speeds = limit.speeds(SECONDS)
            one[name] = max(speeds.values())
            one[f"{name}_layouts"] = {str(layout): speed for layout, speed in speeds.items()}
        limit = limits["limit"]
        one |= {"single_ms": limit.single_ms(allowed_cores()), "single_thread_ms": limit.single_ms(1)}
        for name, contender in contenders.items():
            one["servers"][name] = ask(contender, settings, bodies[contender.body], CONNECTIONS, folder)
            loads = one["servers"][name]["loads"]
            speeds = ", ".join(f"{count}: {load['per_second']:.0f}/s" for count, load in loads.items())
            print(f"round {number + 1}: {name}: {speeds} (limit {one['limit']:.0f}/s)", flush=True)  # noqa: T201
        rounds.append(one)
    return rounds


def ask(
    contender: Contender, settings: Mapping[str, str], requests: Path, connections: Sequence[int], folder: Path
) -> dict[str, Any]:
    """Start it and send it the requests of a file over so many connections, one number after another."""
    with Server(contender.command, folder / "server.log", **{**settings, **contender.environment}) as server:
        with requests.open(encoding="utf-8") as bodies:
            server.wait_for_answer(next(bodies).rstrip())
        wrk(server, requests, 8, 2)
        loads = {}
        for count in connections:
            spent = server.cpu_seconds
            loads[count] = wrk(server, requests, count, SECONDS)
            loads[count]["cpu_ms"] = 1000 * (server.cpu_seconds - spent) / loads[count]["answered"]
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
        "unanswered": outcome.unanswered.total(),
        "why_unanswered": outcome.unanswered,
        "memory_mb_first_third": float(np.mean(memory[:third])),
        "memory_mb_last_third": float(np.mean(memory[-third:])),
    }


@dataclass(frozen=True)
class Rounds:
    """What was measured, as medians over the rounds; ratios are of neighbours in a round."""

    rounds: Sequence[Any]

    def median(self, pick: Callable[[Any], float]) -> float:
        """Of what is picked in each round."""
        return statistics.median(pick(one) for one in self.rounds)

    def load(self, name: str, connections: int, figure: str) -> float:
        """A figure of one contender."""
        return self.median(lambda one: one["servers"][name]["loads"][connections][figure])

    def gain(self, rival: str, connections: int, figure: str = "per_second") -> float:
        """Boatyard's figure relative to the rival's."""

        def of(one: Any) -> float:
            ours, other = (one["servers"][name]["loads"][connections][figure] for name in ("boatyard", rival))
            return float(ours / other)

        return self.median(of)

    def share(self, name: str, limit: str) -> float:
        """At 32 connections, relative to the upper bound on the cores that wrk leaves."""

        def of(one: Any) -> float:
            load = one["servers"][name]["loads"][32]
            return float(load["per_second"] / (one[limit] * (1 - load["asker_cores"] / allowed_cores())))

        return self.median(of)


def report(
    contenders: Mapping[str, Contender],
    limits: Mapping[str, Limit],
    rounds: Sequence[Any],
    overloaded: Mapping[str, Any],
    command: str,
) -> list[str]:
    """Write the report; returns the goals that are missed."""
    measured = Rounds(rounds)
    ratios = {rival: measured.gain(rival, 32) for rival in contenders if rival in GOALS}
    ratios |= {limit: measured.share("boatyard", limit) for limit in limits}
    missed = [f"{rival}: {ratio:.2f} of {GOALS[rival]:g}" for rival, ratio in ratios.items() if ratio < GOALS[rival]]
    gains = {count: measured.gain(BEFORE, count) for count in CONNECTIONS} if BEFORE in contenders else {}
    missed += [f"{gain:.2f} of {GAINS[count]:g} at {count}" for count, gain in gains.items() if gain < GAINS[count]]
    single = measured.median(lambda one: one["servers"]["boatyard"]["loads"][1]["p50_ms"] / one["single_ms"])
    if single > MOST_SINGLE:
        missed.append(f"alone: {single:.2f} of {MOST_SINGLE:g}")
    capacity = statistics.mean([overloaded["capacity"], overloaded["capacity_afterwards"]])
    kept = overloaded["goodput"] / (capacity * (1 - overloaded["asker_cores"] / allowed_cores()))
    if kept < LEAST_GOODPUT or set(overloaded["by_status"]) - {200, 503} or overloaded["unanswered"]:
        missed.append(f"overload: {kept:.2f} of {LEAST_GOODPUT:g}, {overloaded['unanswered']} without an answer")

    speeds, latencies = [], []
    for name, contender in contenders.items():
        memory = measured.median(lambda one, name=name: one["servers"][name]["memory_mb"])
        perseconds = [f"{measured.load(name, count, 'per_second'):.0f}" for count in CONNECTIONS]
        speeds.append([contender.title, *perseconds, f"{memory:.0f}", f"{measured.share(name, 'limit'):.2f}"])
        parts = [[f"{measured.load(name, count, f'p{part}_ms'):.1f}" for part in (50, 95, 99)] for count in CONNECTIONS]
        latencies.append([contender.title, *map(" / ".join, parts)])
    layouts = []
    for layout, size in limits["limit"].sizes.items():
        speed = measured.median(lambda one, layout=layout: one["limit_layouts"][str(layout)])
        layouts.append(f"{speed:.0f} by {layout}, {size} in a batch")
    alone, on_one = (measured.median(lambda one, name=name: one[name]) for name in ("single_ms", "single_thread_ms"))
    heads = [f"at {count}" for count in CONNECTIONS]
    statuses = ", ".join(f"{count:,} times {status}" for status, count in sorted(overloaded["by_status"].items()))
    unanswered = "; ".join(
        [
            f"{overloaded['unanswered']} without an answer",
            *(f"{count} ({why})" for why, count in overloaded["why_unanswered"].items()),
        ]
    )
    text = [
        "# Serving",
        "The same weights and the same messages, requested over HTTP by wrk in a closed loop. Answers a second at 1 to "
        "128 connections, the peak memory of all processes in MB, and at 32 connections the share of what bare ONNX "
        "Runtime sessions do with the cores that wrk leaves.",
        table(["", *heads, "memory", "of the limit"], speeds, align="l" + "r" * (len(heads) + 2)),
        "The limit: messages a second that are all known beforehand, encoded and sorted by length: "
        f"{'; '.join(layouts)}; in each round the best counts. At 32 connections Boatyard answers "
        f"{ratios['lit_onnx']:.1f} times as much as LitServe, {ratios['bento']:.1f} times as much as BentoML and "
        f"{ratios['tei']:.2f} times as much as the reconstruction on the same graph, and {ratios['lit_torch']:.1f} "
        "times as much as LitServe on torch. LitServe and BentoML may batch 32, pad to a batch's longest text and use "
        "all cores. The plain way, which pads every text to 128 tokens, is for scale: what batches and little padding "
        "are worth.",
        *_against_before(contenders, measured, ratios),
        "Latency in ms at so many connections, p50 / p95 / p99:",
        table(["", *heads], latencies, align="l" + "r" * len(heads)),
        f"A message alone takes a bare session {alone:.1f} ms on all cores, {on_one:.1f} on one, as in Boatyard; "
        f"over HTTP, tokenising and journal included, {single:.2f} times the former.",
        "What keeps a server from the limit: its batches hold what waits, and texts of several lengths are run apart "
        "or padded, where the limit has them sorted in advance; engine.md has what a message costs alone, in windows "
        "of 16 and sorted. Beside that come tokenising, HTTP and the journal. Two threads a run answer a message alone "
        "sooner, and many messages later.",
        "## Overload",
        f"{OVERLOAD} times the {overloaded['capacity']:.0f} a second that it answered 128 connections just before "
        f"({overloaded['capacity_afterwards']:.0f} just after), at a fixed rate for {OVERLOAD_SECONDS} s: {statuses}, "
        f"{unanswered}. Answered {overloaded['goodput']:.0f} a second, {kept:.2f} of "
        f"the mean of both less the {overloaded['asker_cores']:.2f} cores that asking takes; p99 "
        f"{overloaded['p99_s']:.2f} s, a refusal {overloaded['refused_p50_ms']:.0f} ms "
        f"(median). Memory {overloaded['memory_mb_first_third']:.0f} MB in the first third, "
        f"{overloaded['memory_mb_last_third']:.0f} MB in the last.",
        f"    {command}",
        f"Medians of {ROUNDS} rounds of {SECONDS} s each; ratios are of neighbours in a round. {LITSERVE}, {BENTOML}.",
    ]
    if missed:
        text.append(f"Goals missed: {'; '.join(missed)}.")
    facts = {
        "command": command,
        "ratios": ratios,
        "gains": gains,
        "single": single,
        "rounds": rounds,
        "overload": overloaded,
    }
    packages = ["boatyard", "onnxruntime", "tokenizers", "fastapi", "uvicorn", "torch", "transformers"]
    write_report("serving", text, facts, packages)
    return missed


def _against_before(contenders: Mapping[str, Contender], measured: Rounds, ratios: Mapping[str, float]) -> list[str]:
    if BEFORE not in contenders:
        return []
    title = contenders[BEFORE].title
    figures = ("per_second", "p50_ms", "cpu_ms")
    gains = [
        [str(count), *(f"{measured.gain(BEFORE, count, figure):.2f}" for figure in figures)] for count in CONNECTIONS
    ]
    of_bound = (
        f" Of bare sessions with the graph that this commit exported it reaches {ratios['limit_before']:.2f}."
        if "limit_before" in ratios
        else ""
    )
    return [
        f"{title} took its turns in the same rounds; this is Boatyard relative to it.{of_bound}",
        table(["connections", "answers a second", "p50", "processor time an answer"], gains, align="rrrr"),
    ]


def main() -> int:
    """Measure and write the report; returns 1 if a goal is missed, 2 if the model or the messages cannot be read."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("messages", type=Path)
    parser.add_argument("--before", metavar="COMMIT", help="compared with the server of this commit")
    parser.add_argument("--before-model", metavar="MODEL", help="what that server serves, if not the same")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        try:
            bundle, root = fetch_model(asked.model, folder)
            older = fetch_model(asked.before_model, folder)[0] if asked.before_model else bundle
            with asked.messages.open(encoding="utf-8", newline="") as file:
                texts = [row["text"] for row in csv.DictReader(file)]
        except (UserError, OSError, KeyError) as error:
            print(f"serve: {error}", file=sys.stderr)  # noqa: T201
            return 2
        random.Random(0).shuffle(texts)  # noqa: S311
        contenders, limits = CONTENDERS, {"limit": Limit(bundle, texts)}
        if asked.before:
            contenders = {**CONTENDERS, BEFORE: before(asked.before, older, folder)}
        if asked.before_model:
            limits["limit_before"] = Limit(older, texts)
        settings = environment(bundle, root, folder)
        rounds = measure(contenders, limits, settings, texts, folder)
        overloaded = overload(settings, texts, folder)
    command = f"python benchmarks/serve.py {' '.join(sys.argv[1:])}".replace(str(asked.messages), "MESSAGES")
    if missed := report(contenders, limits, rounds, overloaded, command):
        print("missed: " + "; ".join(missed), file=sys.stderr)  # noqa: T201
    return bool(missed)


if __name__ == "__main__":
    sys.exit(main())
