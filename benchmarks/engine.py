"""What the engine takes for a row, before and after:  python benchmarks/engine.py BEFORE AFTER ROWS [BEFORE ...]

BEFORE and AFTER are bundles of one network that two commits exported, or twice the same where its graph has not
changed. ROWS are requests, a line of JSON each. BEFORE is opened without an arena, as it was until products were
fused, AFTER as it is served. Both take turns in one process and thread. Writes reports/benchmarks/engine.md and .json.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from report import write_report

from boatyard.bundle.manifest import open_bundle
from boatyard.bundle.predict import EMBEDDING, GRAPH, Predictor
from boatyard.evaluate.markdown import table
from boatyard.inputs.protocol import Encoded

ROUNDS, ROWS, MEMORY_RUNS = 5, 128, 40
WAYS = ("windows of 16, grouped", "sorted, 8 together", "alone")


def opened(folder: Path, arena: bool) -> Predictor:
    """With one thread."""
    predictor = Predictor(open_bundle(folder), threads=1)
    if not arena:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.enable_mem_pattern = options.enable_cpu_mem_arena = False
        options.log_severity_level = 4
        predictor._session = ort.InferenceSession(folder / GRAPH, options, providers=["CPUExecutionProvider"])
    return predictor


def encoded(predictor: Predictor, rows: Path) -> list[Encoded]:
    """Some of the rows, in no order."""
    lines = rows.read_text(encoding="utf-8").splitlines()
    chosen = np.random.default_rng(0).permutation(len(lines))[: 2 * ROWS]
    return predictor.input.encode([predictor.input.parse(json.loads(lines[place])) for place in chosen])


def milliseconds(pair: Sequence[Predictor], rows: Sequence[Encoded]) -> dict[str, list[list[float]]]:
    """Of the thread, for a row: by way, for each predictor, of each round."""
    by_cost = sorted(rows, key=lambda row: row.cost)
    windows = [rows[start : start + 16] for start in range(0, ROWS, 16)]
    eights = [by_cost[start : start + 8] for start in range(0, len(rows), 16)]
    some = rows[: ROWS // 4]
    ways: list[tuple[Callable[[Predictor], Any], int]] = [
        (lambda predictor: [predictor.run(window) for window in windows], ROWS),
        (lambda predictor: [predictor.run_batch(batch) for batch in eights], sum(map(len, eights))),
        (lambda predictor: [predictor.run_batch([row]) for row in some], len(some)),
    ]
    took: dict[str, list[list[float]]] = {way: [[], []] for way in WAYS}
    for way, (run, count) in zip(WAYS, ways, strict=True):
        for round_ in range(ROUNDS + 1):
            for place in (0, 1) if round_ % 2 else (1, 0):
                started = time.thread_time()
                run(pair[place])
                if round_:  # the first only warms up
                    took[way][place].append(1000 * (time.thread_time() - started) / count)
    return took


def moved(pair: Sequence[Predictor], rows: Sequence[Encoded]) -> tuple[float, float]:
    """How far the answers to the rows move at most from before to after, and after from alone to a batch."""
    before, after = (predictor.run(rows) for predictor in pair)
    alone = [pair[1].run_batch([row]) for row in rows[:ROWS]]
    names = before.keys() - {EMBEDDING, "logits"}
    return (
        max(float(np.abs(before[name] - after[name]).max()) for name in names),
        max(float(np.abs(np.concatenate([one[name] for one in alone]) - after[name][:ROWS]).max()) for name in names),
    )


def peak_megabytes(folder: Path, rows_file: Path, arena: bool) -> list[int]:
    """Of a process with two threads that run batches of all shapes: after a tenth of the runs, and after all."""
    predictor = opened(folder, arena)
    rows, peaks = encoded(predictor, rows_file), []
    for runs in (MEMORY_RUNS // 10, MEMORY_RUNS - MEMORY_RUNS // 10):
        chance = np.random.default_rng(runs)
        sizes = chance.choice((1, 2, 3, 5, 8, 16, 32, 64), runs)
        batches = [[rows[place] for place in chance.permutation(len(rows))[:size]] for size in sizes]
        with ThreadPoolExecutor(2) as threads:
            list(threads.map(predictor.run, batches))
        status = Path("/proc/self/status").read_text()  # getrusage's peak is that of the process which started it
        peaks.append(round(int(status.partition("VmHWM:")[2].split()[0]) / 1000))
    return peaks


def measure(before: Path, after: Path, rows_file: Path) -> dict[str, Any]:
    """All figures of one pair."""
    pair = opened(before, arena=False), opened(after, arena=True)
    rows = encoded(pair[0], rows_file)
    change, batch = moved(pair, rows)
    took = milliseconds(pair, rows)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1) as processes:
        asked = [
            processes.submit(peak_megabytes, *each) for each in ((before, rows_file, False), (after, rows_file, True))
        ]
        peaks = [one.result() for one in asked]
    return {
        "name": pair[1].manifest.name,
        "graph_bytes": [(folder / GRAPH).stat().st_size for folder in (before, after)],
        "milliseconds": {way: [statistics.median(times) for times in both] for way, both in took.items()},
        "ratios": {way: statistics.median(b / a for a, b in zip(*both, strict=True)) for way, both in took.items()},
        "answers_moved": change,
        "alone_or_in_a_batch": batch,
        "peak_megabytes": peaks,
    }


def main() -> int:
    """Measure and write the report."""
    arguments = [Path(argument) for argument in sys.argv[1:]]
    if not arguments or len(arguments) % 3:
        sys.exit(__doc__)
    found = [measure(*arguments[at : at + 3]) for at in range(0, len(arguments), 3)]
    times = [
        [
            each["name"],
            *(f"{a:.3f} → {b:.3f} ({each['ratios'][way]:.2f})" for way, (a, b) in each["milliseconds"].items()),
        ]
        for each in found
    ]
    rest = [
        [
            each["name"],
            " → ".join(f"{size / 1e6:.2f}" for size in each["graph_bytes"]),
            f"{each['answers_moved']:.2g}",
            f"{each['alone_or_in_a_batch']:.2g}",
            *(f"{early}, {late}" for early, late in each["peak_megabytes"]),
        ]
        for each in found
    ]
    command = "python benchmarks/engine.py BEFORE AFTER ROWS [BEFORE AFTER ROWS ...]"
    text = [
        "# The engine",
        f"Milliseconds of one thread for a row, before → after, and the ratio (the median of {ROUNDS} rounds in which "
        "both take turns). After: for texts, int8 products are fused and attention is masked with -50; for all, ONNX "
        "Runtime's arena is on.",
        table(["", *WAYS], times, align="lrrr"),
        "The largest change of an answer, from before to after and from alone to in a batch; and the peak memory of a "
        f"process that runs {MEMORY_RUNS} batches of 1 to 64 rows in two threads, after a tenth of them and after all.",
        table(["", "graph, MB", "changed", "by the batch", "MB before", "MB after"], rest, align="lrrrrr"),
        f"    {command}",
    ]
    write_report("engine", text, {"command": command, "bundles": found}, ["boatyard", "onnxruntime", "onnx"])
    return 0


if __name__ == "__main__":
    sys.exit(main())
