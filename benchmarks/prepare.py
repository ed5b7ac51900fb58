"""Rows a second and peak memory of preparing up to a million rows:  python benchmarks/prepare.py

Synthesises rows, runs `python -m boatyard.data` on them (read, check, split, report, learn a vocabulary, tokenise) in a
process of its own, and writes reports/benchmarks/preparing.md and .json. Fails if a run takes more memory than the
limit.
"""

import csv
import os
import random
import subprocess
import sys
import tempfile
import time
from itertools import accumulate
from pathlib import Path

from report import write_report

from boatyard.evaluate.markdown import table

SIZES = {"ten_thousand": 10_000, "hundred_thousand": 100_000, "million": 1_000_000}
LIMIT = 1_500  # megabytes, whatever the number of rows
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


def measure(name: str, rows: int) -> dict[str, float]:
    """Run time and peak resident memory of the command, in an empty folder."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "rows.csv")
        write_rows(source, rows)
        paths = [f"paths.{name}={Path(folder, name)}" for name in ("processed", "reports")]
        started = time.monotonic()
        process = subprocess.Popen([*COMMAND, f"data.path={source}", f"data.name={name}", *paths])
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - started
        if status:
            sys.exit(f"preparing {rows} rows failed")
        stored = sum(file.stat().st_size for file in Path(folder, "processed").rglob("*") if file.is_file())
        return {
            "rows": rows,
            "seconds": seconds,
            "rows_per_second": rows / seconds,
            "peak_megabytes": usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6,
            "source_megabytes": source.stat().st_size / 1e6,
            "stored_megabytes": stored / 1e6,
        }


def write(results: dict[str, dict[str, float]]) -> None:
    """Write the figures as Markdown and JSON."""
    command = " ".join(["python", *COMMAND[1:], "data.path=ROWS.csv", "data.name=NAME"])
    rows = [
        [
            f"{r['rows']:,}",
            f"{r['source_megabytes']:,.0f} MB",
            f"{r['seconds']:,.0f}",
            f"{r['rows_per_second']:,.0f}",
            f"{r['peak_megabytes']:,.0f} MB",
            f"{r['stored_megabytes']:,.0f} MB",
        ]
        for r in results.values()
    ]
    text = [
        "# Preparing rows",
        "Reading, checking, splitting, the data report, learning a vocabulary and tokenising, in one process from its "
        "start. The start alone, which imports torch and transformers, takes some seconds and most of the memory in "
        f"the first line. The peak counts mapped pages of Arrow files too; the limit is {LIMIT:,} MB at any size.",
        table(["Rows", "CSV", "Seconds", "Rows a second", "Peak memory", "Stored"], rows, align="r" * 6),
        f"    python benchmarks/prepare.py\n    {command}",
        f"Distinct messages of {WORDS} words on average, {LABELS} labels, model=tiny.",
    ]
    facts = {"command": command, "limit_megabytes": LIMIT, "results": results}
    write_report("preparing", text, facts, ["datasets", "pyarrow", "tokenizers", "torch", "transformers"])


def main() -> None:
    """Measure each size and write the report."""
    results = {}
    for name, rows in SIZES.items():
        results[name] = measure(name, rows)
        print(results[name], flush=True)  # noqa: T201
    write(results)
    if any(result["peak_megabytes"] > LIMIT for result in results.values()):
        sys.exit(f"more than {LIMIT} MB")


if __name__ == "__main__":
    main()
