"""Rows a second and peak memory of preparing up to a million rows:  python benchmarks/prepare.py

Synthesises rows, runs `python -m boatyard.data` on them (read, check, split, report, learn a vocabulary, tokenise) in a
process of its own, and writes reports/benchmarks/prepare.md and .json.
"""

import csv
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

from boatyard.markdown import table

REPORT = Path("reports/benchmarks/prepare")
SIZES = (10_000, 100_000, 1_000_000)
LABELS = 20
WORDS = 15  # a message, on average


def write_rows(path: Path, rows: int) -> None:
    """Distinct messages over a vocabulary with the long tail of a natural one; the same each time."""
    draw = random.Random(0)  # noqa: S311
    syllables = ["ba", "co", "di", "fu", "ge", "hy", "ka", "lo", "mi", "nu", "pe", "ri", "sa", "to", "vu", "we"]
    vocabulary = sorted({"".join(draw.choices(syllables, k=draw.randint(1, 5))) for _ in range(30_000)})
    weights = [1 / rank for rank in range(1, len(vocabulary) + 1)]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for number in range(rows):
            words = draw.choices(vocabulary, weights, k=draw.randint(5, 2 * WORDS - 5))
            writer.writerow([f"{' '.join(words)} {number}", f"label {number % LABELS}"])


def measure(rows: int) -> dict[str, float]:
    """Seconds and peak resident memory of the command, on a fresh folder."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "rows.csv")
        write_rows(source, rows)
        places = [f"paths.{place}={Path(folder, place)}" for place in ("processed", "reports")]
        command = [sys.executable, "-m", "boatyard.data", "data=csv", f"data.path={source}", "data.name=rows", *places]
        started = time.monotonic()
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            sys.exit(f"{' '.join(command)} failed")
        seconds = time.monotonic() - started
        unit = 1 if sys.platform == "darwin" else 1024
        return {"seconds": seconds, "rows_per_second": rows / seconds, "peak_megabytes": usage.ru_maxrss * unit / 1e6}


def main() -> None:
    """Measure each size and write the report."""
    results = {}
    for rows in SIZES:
        results[str(rows)] = measure(rows)
        print(rows, results[str(rows)], flush=True)  # noqa: T201
    machine = {
        "processor": platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in ("datasets", "pyarrow", "tokenizers", "torch", "transformers")},
    }
    facts = {"command": "python benchmarks/prepare.py", "machine": machine, "results": results}
    REPORT.with_suffix(".json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    shown = table(
        ["Rows", "Seconds", "Rows a second", "Peak memory"],
        [
            [f"{int(rows):,}", f"{r['seconds']:.0f}", f"{r['rows_per_second']:,.0f}", f"{r['peak_megabytes']:,.0f} MB"]
            for rows, r in results.items()
        ],
        align="rrrr",
    )
    packages = ", ".join(f"{name} {number}" for name, number in machine["packages"].items())
    text = [
        "# Preparing rows",
        "Reading, checking, splitting, the data report, learning a vocabulary and tokenising, all in one process from "
        "its start, which alone takes some seconds and some hundred megabytes (it imports torch and transformers).",
        shown,
        "    python benchmarks/prepare.py",
        f"Messages of {WORDS} words on average, {LABELS} labels. {machine['cores']} cores shared with other work, "
        f"Python {machine['python']}; {packages}.",
    ]
    REPORT.with_suffix(".md").write_text("\n\n".join(text) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
