"""Rows a second and peak memory of preparing, on one core and on all of them:  python benchmarks/prepare.py

Synthesises rows, runs `python -m boatyard.data` on them (read, check, split, report, tokenise) in a process of its own,
in turns on one core and on all, and writes reports/benchmarks/preparing.md and .json. Fails if a run takes more memory
than the limit, its workers included, or if what is stored depends on the number of cores. Only Linux and Windows can
keep a process to one core; elsewhere its threads use others, too.
"""

import argparse
import csv
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from itertools import accumulate
from pathlib import Path
from typing import Any

import psutil
from report import write_report

from boatyard.config.processes import allowed_cores
from boatyard.evaluate.markdown import table
from boatyard.storage.fingerprint import file_digest, fingerprint

SIZES = {10_000: "ten_thousand", 100_000: "hundred_thousand", 1_000_000: "million", 10_000_000: "ten_million"}
ROUNDS = 3  # of the sizes up to a million, in turns; the largest is for its memory, and run once, on all cores
LIMIT = 1_500  # megabytes, whatever the number of rows
GOAL = 2.0  # times as fast on two cores
LABELS = 20
WORDS = 15  # a message, on average
COMMAND = [sys.executable, "-m", "boatyard.data", "data=csv", "model=tiny"]


def write_rows(path: Path, rows: int) -> None:
    """Write distinct messages over a vocabulary with a natural long tail; the same each time."""
    draw = random.Random(0)  # noqa: S311
    syllables = ["ba", "co", "di", "fu", "ge", "hy", "ka", "lo", "mi", "nu", "pe", "ri", "sa", "to", "vu", "we"]
    vocabulary = sorted({"".join(draw.choices(syllables, k=draw.randint(1, 5))) for _ in range(30_000)})
    draw.shuffle(vocabulary)
    weights = [*accumulate(1 / rank for rank in range(1, len(vocabulary) + 1))]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for number in range(rows):
            words = draw.choices(vocabulary, cum_weights=weights, k=draw.randint(5, 2 * WORDS - 5))
            writer.writerow([f"{' '.join(words)} {number}", f"label {number % LABELS}"])


def measure(source: Path, rows: int, cores: int) -> dict[str, Any]:
    """Time and memory of the command, in an empty folder, and a digest of all that it stored."""
    with tempfile.TemporaryDirectory() as folder:
        stored = Path(folder, "processed")
        paths = [f"paths.processed={stored}", f"paths.reports={folder}/reports"]
        environment = {**os.environ, "OMP_NUM_THREADS": str(cores)}
        started = time.monotonic()
        with subprocess.Popen(
            [*COMMAND, f"data.path={source}", f"data.name=rows{rows}", *paths], env=environment
        ) as process:
            watched = psutil.Process(process.pid)
            if hasattr(watched, "cpu_affinity"):
                watched.cpu_affinity(watched.cpu_affinity()[:cores])
            memory, worked, first = _watch(process, watched)
        seconds = time.monotonic() - started
        if process.returncode:
            sys.exit(f"preparing {rows} rows failed")
        files = sorted(file for file in stored.rglob("*") if file.is_file())
        return {
            "rows": rows,
            "cores": cores,
            "seconds": seconds,
            "processor_seconds": worked,
            "first_process_seconds": first,
            "rows_per_second": rows / seconds,
            "peak_megabytes": memory / 1e6,
            "source_megabytes": source.stat().st_size / 1e6,
            "stored_megabytes": sum(file.stat().st_size for file in files) / 1e6,
            "content": fingerprint(sorted((file.name, file_digest(file)) for file in files)),
        }


def _watch(process: subprocess.Popen[bytes], watched: psutil.Process) -> tuple[int, float, float]:
    """The most bytes that the process and its workers held, their processor seconds, and its own of them."""
    most, worked = 0, dict[int, float]()
    while process.poll() is None:
        resident = 0
        for each in [watched, *watched.children(recursive=True)]:
            try:
                resident += _own(each)
                times = each.cpu_times()
                worked[each.pid] = times.user + times.system
            except (psutil.NoSuchProcess, OSError):  # it has ended
                continue
        most = max(most, resident)
        with suppress(subprocess.TimeoutExpired):
            process.wait(1)  # and not less: looking at a large process takes the system some time, too
    return most, sum(worked.values()), worked[process.pid]


def _own(process: psutil.Process) -> int:
    """The bytes that it holds itself, of what it shares with others a part. Files that are mapped are not among them:
    where memory is short, the system drops their pages.
    """  # fmt: skip
    rollup = Path(f"/proc/{process.pid}/smaps_rollup")
    if not rollup.exists():
        return int(process.memory_info().rss)
    held = re.findall(r"^Pss_(?:Anon|Shmem): +([0-9]+) kB", rollup.read_text(), re.MULTILINE)
    return 1024 * sum(map(int, held))


def write(runs: list[dict[str, Any]], rounds: int, command: str) -> list[str]:
    """Write the figures as Markdown and JSON. Returns the goals that were missed."""
    shown, missed = [], list[str]()
    results: dict[str, dict[str, Any]] = {"one_core": {}, "all_cores": {}}
    most = allowed_cores()
    for rows, cores in dict.fromkeys((run["rows"], run["cores"]) for run in runs):
        same = [run for run in runs if (run["rows"], run["cores"]) == (rows, cores)]
        middle = {key: statistics.median(run[key] for run in same) for key in same[0] if key != "content"}
        results["all_cores" if cores == most else "one_core"][SIZES[rows]] = {**middle, "rounds": same}
        shown.append(
            [
                f"{rows:,}",
                f"{cores}",
                f"{middle['seconds']:,.0f}",
                f"{middle['processor_seconds']:,.0f}",
                f"{middle['first_process_seconds']:,.0f}",
                f"{middle['rows_per_second']:,.0f}",
                f"{max(run['peak_megabytes'] for run in same):,.0f} MB",
                f"{middle['source_megabytes']:,.0f} MB",
                f"{middle['stored_megabytes']:,.0f} MB",
            ]
        )
    ratios = {rows: ratio for rows in SIZES if (ratio := _ratio(runs, rows, most)) is not None}
    largest = max(ratios, default=None)
    sentence = "; ".join(f"{ratio:.2f} of {rows:,} rows" for rows, ratio in ratios.items())
    same_content = all(len({run["content"] for run in runs if run["rows"] == rows}) <= 1 for rows in SIZES)
    if largest is not None and most > 1 and ratios[largest] < GOAL:
        missed.append(f"{GOAL:g} times as fast on {most} cores: {ratios[largest]:.2f}")
    if not same_content:
        missed.append("what is stored depends on the number of cores")
    if any(run["peak_megabytes"] > LIMIT for run in runs):
        missed.append(f"{LIMIT:,} MB")
    header = [
        "Rows",
        "Cores",
        "Seconds",
        "Of a processor",
        "By the first",
        "Rows a second",
        "Peak memory",
        "CSV",
        "Stored",
    ]
    text = [
        "# Preparing rows",
        "Reading, checking, splitting, the data report and tokenising, from the command's start, which alone takes "
        "some seconds. The affinity of its process says which cores it may use; workers start once it has worked for a "
        f"second of the processor. Rounds, in turns: {rounds}; medians. Memory is the most that all "
        "processes held together, less mapped files, which the system drops where memory is short. What the first "
        "process does by itself, of the processor's seconds, is what more cores cannot make quicker.",
        table(header, shown, align="r" * len(header)),
        f"Times as fast on {most} cores as on one, the median of the rounds' ratios: {sentence}. "
        + ("What is stored is the same to the byte." if same_content else "What is stored differs."),
        "Goals missed: " + "; ".join(missed) + "." if missed else "The goals are met.",
        f"    {command}\n    python -m boatyard.data data=csv model=tiny data.path=ROWS.csv data.name=NAME",
        f"Distinct messages of {WORDS} words on average, {LABELS} labels, model=tiny.",
    ]
    everything = {"command": command, "limit_megabytes": LIMIT, "goal": GOAL, "ratios": ratios, **results}
    write_report("preparing", text, everything, ["datasets", "pyarrow", "tokenizers", "torch", "transformers"])
    return missed


def _ratio(runs: list[dict[str, Any]], rows: int, cores: int) -> float | None:
    """How many times as fast all cores were as one, the median over the rounds."""
    one, all_ = ([run["seconds"] for run in runs if (run["rows"], run["cores"]) == (rows, each)] for each in (1, cores))
    return statistics.median(a / b for a, b in zip(one, all_, strict=True)) if one and cores > 1 else None


def main() -> None:
    """Measure each size and write the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sizes", type=int, nargs="*", help=f"of {list(SIZES)}; all by default")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"{ROUNDS} by default")
    options = parser.parse_args()
    runs, cores = [], allowed_cores()
    with tempfile.TemporaryDirectory() as folder:
        for rows in options.sizes or SIZES:
            source = Path(folder, "rows.csv")
            write_rows(source, rows)
            turns = [1, cores] * options.rounds if rows < max(SIZES) and cores > 1 else [cores]
            for number, turn in enumerate(turns):
                # every other round in reverse, because a machine's speed drifts
                swapped = turn if number // 2 % 2 == 0 else 1 + cores - turn
                runs.append(measure(source, rows, swapped))
                print(runs[-1], flush=True)  # noqa: T201
    changed = list(map(str, options.sizes))
    changed += [f"--rounds={options.rounds}"] * (options.rounds != ROUNDS)
    if missed := write(runs, options.rounds, " ".join(["python benchmarks/prepare.py", *changed])):
        sys.exit(f"missed: {'; '.join(missed)}")


if __name__ == "__main__":
    main()
