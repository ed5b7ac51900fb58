"""Scoring files on Ray Data, against the bare engine:  python benchmarks/score.py [ROWS] [--large ROWS]

Scores a CSV of bundled messages with inbox@production on one core and on two, kills the run and a node of a cluster
with kill -9, and looks for each row afterwards. Writes reports/benchmarks/score.md and .json; fails if
a row is missing.
"""

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow.dataset as ds
from jobs import BAD, write_rows
from load import storage_with_model
from ray_nodes import Cluster
from report import write_report

from boatyard.bundle.predict import open_predictor
from boatyard.bundle.rows import CHUNK, InputRow, parse
from boatyard.evaluate.markdown import table
from boatyard.registry import Reference, fetch
from boatyard.score.files import Forms, find_files
from boatyard.score.plan import Task, draw_up
from boatyard.score.slices import cut
from boatyard.score.work import Places, Worker
from boatyard.storage import open_storage

ROWS = 200_000
BLOCK = 5_000
FEW = 2 * BLOCK  # rows of the run that shows what Ray's start takes
ROUNDS = 5
MACHINES = (1, 4, 16, 64)
CORES = 8  # of each
GOAL = 0.9


@dataclass
class Run:
    """A run of the command; what its processes took is looked at while they live."""

    storage: Path
    rows: Path
    out: Path
    cores: int
    environment: dict[str, str] = field(default_factory=lambda: dict(os.environ))
    processor: dict[int, float] = field(default_factory=dict)
    memory: list[float] = field(default_factory=list)

    def start(self) -> "subprocess.Popen[bytes]":
        """Of the same run, again and again."""
        options = [f"score.rows={self.rows}", f"score.out={self.out}", f"score.block={BLOCK}"]
        command = [sys.executable, "-m", "boatyard.score", *options, f"score.actors={self.cores}"]
        environment = {**self.environment, "BOATYARD_STORAGE": str(self.storage)}
        return subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)

    def blocks(self) -> int:
        """That are there."""
        return len(list(self.out.glob("part-*"))) if self.out.exists() else 0

    def watch(self, process: "subprocess.Popen[bytes]", until: Callable[[], bool] = lambda: False) -> None:
        """Until it ends, or until something happens."""
        while process.poll() is None and not until():
            try:
                family = psutil.Process(process.pid)
                together = [family, *family.children(recursive=True)]
            except psutil.NoSuchProcess:
                break
            largest = 0.0
            for each in together:
                try:
                    taken = each.cpu_times()
                    self.processor[each.pid] = taken.user + taken.system
                    if "_Actor" in "".join(each.cmdline()):
                        largest = max(largest, each.memory_info().rss / 1e6)
                except psutil.Error:
                    continue
            if largest:
                self.memory.append(largest)
            time.sleep(0.1)

    def whole(self) -> tuple[float, float]:
        """Seconds of the clock and of the processor that one run from start to end takes."""
        started = time.monotonic()
        process = self.start()
        self.watch(process)
        if process.wait():
            sys.exit("the run failed")
        return time.monotonic() - started, sum(self.processor.values())

    def megabytes(self) -> dict[str, float]:
        """Of the largest process, at the most: whether it grows."""
        quarter = max(1, len(self.memory) // 4)
        return {"first_quarter": max(self.memory[:quarter]), "last_quarter": max(self.memory[-quarter:])}


class Engine:
    """The bare engine: rows that are in memory and parsed, answered in one thread; nothing is read or written."""

    def __init__(self, storage: Path, rows: Path, folder: Path) -> None:
        bundle = fetch(open_storage(str(storage)), Reference("inbox"), folder)
        self.manifest = bundle.manifest
        self._predictor = predictor = open_predictor(bundle, threads=1)
        with rows.open(newline="", encoding="utf-8") as file:
            requests = [InputRow(1, 0, {"text": row["text"]}) for row in islice(csv.DictReader(file), BLOCK)]
        parsed = [each.row for each in (parse(predictor, row) for row in requests) if each.wrong is None]
        self._lists = [parsed[start : start + CHUNK] for start in range(0, len(parsed), CHUNK)]

    def seconds(self) -> float:
        """Of the processor, for a row."""
        started = time.process_time()
        for each in self._lists:
            self._predictor.answer(each)
        return (time.process_time() - started) / sum(map(len, self._lists))


def paired(engine: Engine, storage: Path, rows: Path, folder: Path) -> list[float]:
    """A block read, answered and written without Ray, in turns with the engine: the shares of it, one of each round."""
    forms, manifest = Forms(engine.manifest), engine.manifest
    place, files = find_files(str(rows), forms)
    task = Task(model=manifest.name, version=manifest.version, files=files, block=BLOCK, columns=None)
    plan = draw_up(task, manifest, [cut(place, files[0], 0, forms, BLOCK, ["text"])], [])
    worker = Worker(plan, Places(str(storage), str(place.root), str(folder / "paired")))
    shares = []
    for _ in range(ROUNDS):
        before = engine.seconds()
        started = time.process_time()
        done = worker.work(0)
        own = (time.process_time() - started) / done.rows
        shares.append((before + engine.seconds()) / 2 / own)
    return shares


def missing(out: Path, rows: int) -> int:
    """Rows that are not there once, or are wrongly said to be good or bad."""
    answered = ds.dataset(out).to_table(columns=["row", "error"])
    there, first = np.unique(answered["row"].to_numpy(), return_index=True)
    wrong = answered["error"].is_valid().to_numpy()[first] != np.isin(there % 1000, BAD)
    absent = len(np.setdiff1d(np.arange(1, rows + 1), there, assume_unique=True))
    return int(absent + wrong.sum() + len(answered) - len(there))


def rates(storage: Path, rows: Path, number: int, folder: Path) -> dict[str, Any]:
    """On one core and on two, between runs of the bare engine."""
    few = folder / "few.csv"
    write_rows(few, FEW)
    engine = Engine(storage, rows, folder / "bundle")
    shares = paired(engine, storage, rows, folder)
    bare, found = [engine.seconds()], {}
    for cores in (1, 2):
        start_s, start_cpu_s = Run(storage, few, folder / f"few-{cores}", cores).whole()
        run = Run(storage, rows, folder / f"out-{cores}", cores)
        seconds, processor = run.whole()
        bare.append(engine.seconds())
        own = (processor - start_cpu_s) / (number - FEW)
        found[str(cores)] = {
            "rows_per_second": (number - FEW) / (seconds - start_s),
            "processor_ms_a_row": 1000 * own,
            "of_the_bare_engine": (bare[-2] + bare[-1]) / 2 / own,
            "start_and_end_seconds": start_s,
            "actor_megabytes": run.megabytes(),
            "missing": missing(run.out, number),
        }
    return {"cores": found, "without_ray": shares, "bare_processor_ms_a_row": [1000 * each for each in bare]}


def large(storage: Path, number: int, folder: Path) -> dict[str, Any]:
    """So many rows on both cores."""
    rows = folder / "large.csv"
    write_rows(rows, number)
    run = Run(storage, rows, folder / "out-large", 2)
    seconds, _ = run.whole()
    return {
        "rows": number,
        "seconds": seconds,
        "actor_megabytes": run.megabytes(),
        "missing": missing(run.out, number),
    }


def killed_run(storage: Path, rows: Path, number: int, folder: Path) -> dict[str, Any]:
    """The run itself is killed with a third of its blocks written, and started again."""
    run = Run(storage, rows, folder / "killed", 2)
    process = run.start()
    run.watch(process, lambda: run.blocks() >= number // BLOCK // 3)
    process.kill()
    process.wait()
    there = run.blocks()
    seconds, _ = run.whole()
    return {"blocks_before": there, "seconds_after": seconds, "missing": missing(run.out, number)}


def killed_node(storage: Path, rows: Path, number: int, folder: Path) -> dict[str, Any]:
    """Of two nodes the second is killed with a third of the blocks written, and comes back 5 seconds later."""
    with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp") as sockets, Cluster(Path(sockets)) as cluster:
        cluster.start(2)
        cluster.await_nodes(2)
        run = Run(storage, rows, folder / "two", 2, cluster.environment)
        started = time.monotonic()
        process = run.start()
        run.watch(process, lambda: run.blocks() >= number // BLOCK // 3)
        there = run.blocks()
        cluster.kill(2)
        time.sleep(5)
        cluster.start(2)
        run.watch(process)
        if process.wait():
            sys.exit("the run failed")
    return {"blocks_before": there, "seconds": time.monotonic() - started, "missing": missing(run.out, number)}


def write(facts: dict[str, Any]) -> None:
    """Write the figures as Markdown and JSON."""
    one, two, most = facts["cores"]["1"], facts["cores"]["2"], facts.get("large")
    rate = one["rows_per_second"]
    minutes = [[f"{machines}", f"{1e8 / (rate * CORES * machines) / 60:,.1f} minutes"] for machines in MACHINES]
    memory, counted = [each["actor_megabytes"] for each in (one, two)], ("blocks_before", "missing")
    reached = min(each["of_the_bare_engine"] for each in (one, two)) >= GOAL
    text = [
        "# Scoring files",
        f"{facts['rows']:,} rows of CSV, {facts['megabytes']:,.0f} MB: bundled messages, one row in 500 bad, scored "
        f"with the small model of `inbox` in blocks of {BLOCK:,} rows.",
        table(
            ["", "1 core", "2 cores"],
            [
                ["rows a second", *(f"{each['rows_per_second']:,.0f}" for each in (one, two))],
                [
                    "processor ms a row, all of Ray included",
                    *(f"{each['processor_ms_a_row']:.3f}" for each in (one, two)),
                ],
                [
                    "of the bare engine, by processor time",
                    *(f"{each['of_the_bare_engine']:.2f}" for each in (one, two)),
                ],
                [
                    f"seconds of a run of {FEW:,} rows: Ray's start and end",
                    *(f"{each['start_and_end_seconds']:.1f}" for each in (one, two)),
                ],
                ["MB of the largest process, first quarter", *(f"{each['first_quarter']:,.0f}" for each in memory)],
                ["the same, last quarter", *(f"{each['last_quarter']:,.0f}" for each in memory)],
                ["rows missing, doubled or wrong", *(f"{each['missing']}" for each in (one, two))],
            ],
            align="lrr",
        ),
        "Times are what a longer run adds to one of "
        f"{FEW:,} rows, so that Ray's start is not in them. The bare engine answers rows that are in memory, "
        f"parsed, {CHUNK:,} at a time, in one thread: it reads and writes nothing. It ran before, between and after, "
        "at "
        f"{', '.join(f'{each:.3f}' for each in facts['bare_processor_ms_a_row'])} processor ms a row. The goal, "
        f"{GOAL}, is {'reached' if reached else 'missed'}.",
        f"A block of {BLOCK:,} rows read, answered and written in one process without Ray, in turns with the bare "
        f"engine, reaches {statistics.median(facts['without_ray']):.2f} of it by processor time, median of {ROUNDS} "
        f"rounds from {min(facts['without_ray']):.2f} to {max(facts['without_ray']):.2f}.",
        *(
            [
                f"{most['rows']:,} such rows on 2 cores took {most['seconds'] / 60:.0f} minutes, "
                f"{most['rows'] / most['seconds']:,.0f} a second with the start in it; {most['missing']} were missing, "
                f"doubled or wrong. The largest process had {most['actor_megabytes']['first_quarter']:,.0f} MB in the "
                f"first quarter and {most['actor_megabytes']['last_quarter']:,.0f} MB in the last."
            ]
            if most
            else []
        ),
        table(
            ["Killed with kill -9", "blocks before", "missing, doubled or wrong afterwards"],
            [
                ["the run, and started again", *(f"{facts['run'][name]}" for name in counted)],
                ["one of two Ray nodes, and back after 5 s", *(f"{facts['node'][name]}" for name in counted)],
            ],
            align="lrr",
        ),
        f"What 100 million such rows take, by arithmetic and not measured: at {rate:,.0f} rows a second of each core, "
        f"on machines of {CORES} such cores, if each core does as much as the one here; Ray's start comes on top.",
        table(["machines", "100 million rows"], minutes, align="rr"),
        f"    python benchmarks/score.py {facts['rows']}" + (f" --large {most['rows']}" if most else ""),
    ]
    write_report("score", text, facts, ["boatyard", "onnxruntime", "pyarrow", "ray"])


def main() -> None:
    """Measure and write the report; fail if a row is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", type=int, nargs="?", default=ROWS, help=f"{ROWS:,} by default")
    parser.add_argument("--large", type=int, metavar="ROWS", help="then score so many once, for time and memory")
    asked = parser.parse_args()
    number = asked.rows
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        storage, rows = storage_with_model(folder), folder / "rows.csv"
        write_rows(rows, number)
        facts = {
            "rows": number,
            "megabytes": rows.stat().st_size / 1e6,
            **rates(storage, rows, number, folder),
            "run": killed_run(storage, rows, number, folder),
            "node": killed_node(storage, rows, number, folder),
            **({"large": large(storage, asked.large, folder)} if asked.large else {}),
        }
    print(json.dumps(facts, indent=2))  # noqa: T201
    write(facts)
    runs = (*facts["cores"].values(), facts["run"], facts["node"], facts.get("large", {"missing": 0}))
    if any(each["missing"] for each in runs):
        sys.exit("rows are missing")


if __name__ == "__main__":
    main()
