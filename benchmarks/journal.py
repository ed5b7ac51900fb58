"""What the journal keeps when servers are killed, and what it costs:  python benchmarks/journal.py

200 clients request 20,000 predictions from two server processes while one of them is killed with kill -9 twice; then
from two processes of a plain app that keeps one CSV, without any kill. Then a server with the journal and one whose
journal writes nothing take turns. Serves inbox@production. Writes reports/benchmarks/journal.md and .json; fails if a
goal is missed.
"""

import asyncio
import csv
import random
import statistics
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import uvloop
from load import BOATYARD, SERVERS, Load, Server, boatyard, messages, storage_with_model, write_bodies, wrk
from report import write_report

from boatyard.evaluate.markdown import table
from boatyard.journal import read
from boatyard.storage import open_storage

CLIENTS, PREDICTIONS = 200, 20_000
KILLS = 2
MOST_SECONDS = 180  # of load
ROUNDS, ROUND_SECONDS, CONNECTIONS = 7, 8, 32
MOST_COST = 0.05  # of the throughput


def account(load: Load, stored: Iterable[str]) -> dict[str, Any]:
    """Compare the answers that clients received with the ids that were stored."""
    times = Counter(stored)
    return {
        "received": len(load.received),
        "kept": times.total(),
        "missing": sum(answer not in times for answer in load.received),
        "doubled": sum(count > 1 for count in times.values()),
        "broken_connections": load.broken,
        "refused": load.refused,
        "seconds": load.took,
    }


def journal_under_fire(folder: Path) -> dict[str, Any]:
    """Two servers on one storage, the first of them killed at random moments."""
    storage = storage_with_model(folder)
    draw = random.Random()  # noqa: S311
    # shares of all answers, one in each half, so that the second kill comes after the restart
    moments = [(kill + draw.uniform(0.1, 0.9)) / KILLS for kill in range(KILLS)]

    async def attack() -> None:
        work = asyncio.ensure_future(load.work())
        for moment in moments:
            while len(load.received) < moment * PREDICTIONS and not work.done():
                await asyncio.sleep(0.001)
            await asyncio.to_thread(first.restart)
        await work

    with boatyard(storage) as first, boatyard(storage) as second:
        load = Load([first, second], CLIENTS, PREDICTIONS // CLIENTS, MOST_SECONDS)
        uvloop.run(attack())
        first.stop()
        second.stop()
    stored = (line["id"] for line in read(open_storage(str(storage))))
    return {"killed_after_share": moments, **account(load, stored)}


def one_csv(folder: Path) -> dict[str, Any]:
    """Two processes of the plain app on one file, without any kill."""
    storage, file, log = storage_with_model(folder), folder / "predictions.csv", folder / "server.log"
    plain = [sys.executable, str(SERVERS / "one_csv.py")]
    settings = {"BOATYARD_STORAGE": str(storage), "ONE_CSV": str(file)}
    with Server(plain, log, **settings) as first, Server(plain, log, **settings) as second:
        load = Load([first, second], CLIENTS, PREDICTIONS // CLIENTS, MOST_SECONDS).run()
    with file.open(newline="", encoding="utf-8") as rows:
        return account(load, (row["id"] for row in csv.DictReader(rows)))


def cost(folder: Path) -> dict[str, Any]:
    """Answers a second with and without the journal, in turns, and the median ratio of adjacent rounds."""
    bodies = write_bodies(folder / "bodies.jsonl", messages())
    commands = {"with_journal": BOATYARD, "writing_nothing": (sys.executable, str(SERVERS / "no_journal.py"))}
    storages = {name: storage_with_model(folder / name) for name in commands}
    rounds: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for number in range(ROUNDS):
        for name in sorted(commands, reverse=number % 2 == 1):
            with boatyard(storages[name], commands[name]) as server:  # a new process each time
                before = server.cpu_seconds
                rate = wrk(server, bodies, CONNECTIONS, ROUND_SECONDS)["per_second"]
                microseconds = 1e6 * (server.cpu_seconds - before) / (rate * ROUND_SECONDS)
                server.stop()
            rounds[name].append((rate, microseconds))
    if not has_journal(storages["with_journal"]) or has_journal(storages["writing_nothing"]):
        sys.exit("only the first server should have written a journal")
    writing, free = rounds.values()
    ratios = [rate / free_rate for (rate, _), (free_rate, _) in zip(writing, free, strict=True)]
    ratio = statistics.median(ratios)
    return {
        "connections": CONNECTIONS,
        "rounds": ROUNDS,
        "seconds": ROUND_SECONDS,
        "with_journal": medians(writing),
        "writing_nothing": medians(free),
        "ratios": ratios,
        "ratio": ratio,
        "lost": 1 - ratio,
    }


def has_journal(storage: Path) -> bool:
    """Whether anything was journalled."""
    return bool(open_storage(str(storage)).list("journal/"))


def medians(rounds: list[tuple[float, float]]) -> dict[str, float]:
    """The medians over the rounds."""
    rates, microseconds = zip(*rounds, strict=True)
    return {"answers_per_second": statistics.median(rates), "cpu_microseconds": statistics.median(microseconds)}


def write(facts: dict[str, Any]) -> list[str]:
    """Write the figures as Markdown and JSON; returns the goals that are missed."""
    survived, common, price = facts["journal"], facts["one_csv"], facts["cost"]
    rows = [
        [
            name,
            *(f"{counts[figure]:,}" for figure in ("received", "kept", "missing", "doubled")),
            f"{counts['seconds']:,.0f}",
        ]
        for name, counts in [("Boatyard's journal, kill -9 twice", survived), ("one CSV, nothing killed", common)]
    ]
    goals = {
        "answers missing from the journal": (survived["missing"], 0, ""),
        "answers in it twice": (survived["doubled"], 0, ""),
        f"of {PREDICTIONS:,} predictions, without an answer": (PREDICTIONS - survived["received"], 0, ""),
        "throughput lost to the journal": (round(100 * price["lost"], 1), 100 * MOST_COST, "%"),
    }
    missed = [name for name, (measured, most, _) in goals.items() if measured > most]
    unfinished = (
        ""
        if common["received"] >= PREDICTIONS
        else f" The file grows, and so does each answer's work: stopped after {MOST_SECONDS} seconds."
    )
    text = [
        "# Journal",
        "## Nothing lost",
        f"{CLIENTS} clients at once ask for {PREDICTIONS:,} predictions from two server processes. Afterwards what "
        "was stored is compared with what clients received.",
        table(["", "Received", "Stored", "Missing", "Doubled", "Seconds"], rows, align="lrrrrr"),
        "- Boatyard's journal: the two share a storage. One is killed with kill -9 and started again twice, after "
        f"{' and '.join(f'{share:.0%}' for share in survived['killed_after_share'])} of the answers (drawn at random); "
        f"{survived['broken_connections']} connections broke, and their clients retried. What is stored, but was "
        "not received, was answered when the server died.\n"
        "- One CSV: a plain FastAPI app with the same model, which for each prediction reads the file, appends a row "
        f"and writes it back ([one_csv.py](../../benchmarks/servers/one_csv.py)).{unfinished}",
        "## Cost",
        f"One server with the journal and one whose journal writes nothing, {price['rounds']} rounds of "
        f"{price['seconds']} s each in turns, each time in a new process, which ships what the last one wrote; "
        f"{price['connections']} connections of wrk, the bundled messages one by one. Medians; a "
        "ratio is that of neighbours.",
        table(
            ["", "Answers a second", "Processor time of an answer"],
            [
                [
                    name.replace("_", " "),
                    f"{price[name]['answers_per_second']:,.0f}",
                    f"{price[name]['cpu_microseconds']:,.0f} µs",
                ]
                for name in ("with_journal", "writing_nothing")
            ],
            align="lrr",
        ),
        f"Ratio of the throughputs: {price['ratio']:.3f}; of the rounds: "
        f"{', '.join(f'{ratio:.3f}' for ratio in price['ratios'])}.",
        "## Goals",
        table(
            ["", "At most", "Measured", ""],
            [
                [name, f"{most:g}{unit}", f"{measured:g}{unit}", "missed" if name in missed else "met"]
                for name, (measured, most, unit) in goals.items()
            ],
            align="lrrl",
        ),
        "    python benchmarks/journal.py",
    ]
    write_report("journal", text, facts, ["boatyard", "fastapi", "onnxruntime", "uvicorn"])
    return missed


def main() -> None:
    """Measure and write the report; fail if a goal is missed."""
    facts: dict[str, Any] = {"clients": CLIENTS, "predictions": PREDICTIONS}
    phases = {"journal": journal_under_fire, "one_csv": one_csv, "cost": cost}
    for name, measure in phases.items():
        with tempfile.TemporaryDirectory() as folder:
            facts[name] = measure(Path(folder))
        print(name, facts[name], flush=True)  # noqa: T201
    if missed := write(facts):
        sys.exit(f"missed: {', '.join(missed)}")


if __name__ == "__main__":
    main()
