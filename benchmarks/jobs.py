"""A job of a million rows on a server that is killed twice:  python benchmarks/jobs.py [ROWS]

Sends a CSV of bundled messages with curl, kills the server with kill -9 twice while it answers the rows, and checks the
result line by line. Serves inbox@production. Writes reports/benchmarks/jobs.md and .json; fails if a line is missing or
the server's memory grew too much.
"""

import argparse
import csv
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from load import Server, boatyard, messages, storage_with_model
from report import write_report

from boatyard.evaluate.markdown import table

ROWS = 1_000_000
LONGEST = 100  # characters: a million such messages fit into the 100 MiB that a job may have
KILLS = 2
BAD = (250, 750)  # of each thousand rows: one is blank, one has an extra cell
MOST_GROWTH = 150  # megabytes, whatever the number of rows


def write_rows(path: Path, rows: int) -> None:
    """Write the messages in turn, with the bad rows among them."""
    texts = [text for text in messages() if len(text) <= LONGEST]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "text"])
        for row in range(1, rows + 1):
            text = texts[row % len(texts)]
            writer.writerow([row, text if row % 1000 != BAD[0] else "", *(["?"] if row % 1000 == BAD[1] else [])])


@dataclass
class Watch:
    """Polls the state of a job, and times each response."""

    server: Server
    job: str
    client: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=60))
    seconds: list[float] = field(default_factory=list)

    def poll(self) -> dict[str, Any]:
        """The current state."""
        started = time.perf_counter()
        state: dict[str, Any] = self.client.get(f"{self.server.url}/jobs/{self.job}").json()
        self.seconds.append(time.perf_counter() - started)
        return state

    def until(self, rows: float) -> dict[str, Any]:
        """The state once this many rows are answered, or the job has ended."""
        while (state := self.poll())["rows"] < rows and state["state"] == "running":
            time.sleep(0.25)
        return state


def measure(rows: int, folder: Path) -> dict[str, Any]:
    """Send the job, kill the server, wait for the result and check it."""
    source, answers, storage = folder / "rows.csv", folder / "answers.jsonl", storage_with_model(folder)
    write_rows(source, rows)
    draw = random.Random()  # noqa: S311
    moments = [(kill + draw.uniform(0.2, 0.8)) / KILLS for kill in range(KILLS)]
    with boatyard(storage) as server:
        httpx.post(f"{server.url}/predict", json={"text": messages()[0]}).raise_for_status()
        before = server.megabytes("VmRSS")
        server.reset_peak()
        started = time.monotonic()
        options = ["-T", str(source), "-X", "POST", "-H", "content-type: text/csv", f"{server.url}/jobs"]
        job = json.loads(curl(*options))["id"]
        submitted = time.monotonic()
        sending = server.megabytes("VmHWM")
        server.reset_peak()
        watch, peaks, undisturbed = Watch(server, job), [], 0.0
        for moment in moments:
            state = watch.until(moment * rows)
            undisturbed = undisturbed or state["rows"] / (time.monotonic() - submitted)
            peaks.append(server.megabytes("VmHWM"))
            server.restart()
        ended = watch.until(float("inf"))
        finished = time.monotonic()
        peaks.append(server.megabytes("VmHWM"))
        server.reset_peak()
        curl("-o", str(answers), f"{server.url}/jobs/{job}/result")
        reading = server.megabytes("VmHWM")
        server.stop()
    lines, wrong = check(answers)
    return {
        "rows": rows,
        "megabytes": source.stat().st_size / 1e6,
        "state": ended["state"],
        "killed_after_share": moments,
        "memory": {"before": before, "sending": sending, "answering": max(peaks), "reading": reading},
        "seconds": {"sending": submitted - started, "answering_with_kills": finished - submitted},
        "rows_per_second": undisturbed,
        "look_milliseconds": {
            "median": 1000 * statistics.median(watch.seconds),
            "at_the_end": 1000 * statistics.median(watch.seconds[-10:]),
        },
        "lines": lines,
        "bad": ended["bad"],
        "missing_or_wrong_lines": wrong + abs(rows - lines),
    }


def curl(*words: str) -> str:
    """The output of curl."""
    return subprocess.run(["curl", "-sS", "--fail", *words], check=True, capture_output=True, text=True).stdout


def check(answers: Path) -> tuple[int, int]:
    """The number of lines in the result, and of those that are out of order or wrongly marked as good or bad."""
    lines = wrong = 0
    with answers.open(encoding="utf-8") as file:
        for lines, line in enumerate(file, 1):
            answer = json.loads(line)
            wrong += answer["row"] != lines or ("error" in answer) != (lines % 1000 in BAD)
    return lines, wrong


def write(facts: dict[str, Any]) -> None:
    """Write the figures as Markdown and JSON."""
    memory, seconds, look = facts["memory"], facts["seconds"], facts["look_milliseconds"]
    when = {
        "before": "before",
        "sending": "while the file was received",
        "answering": "while its rows were answered",
        "reading": "while the result was read",
    }
    text = [
        "# Jobs",
        f"{facts['rows']:,} rows, {facts['megabytes']:,.0f} MB: bundled messages of up to {LONGEST} characters, one "
        "row in 500 bad, sent with curl to one server with the small model. It was killed with kill -9 and started "
        f"again twice, after {' and '.join(f'{share:.0%}' for share in facts['killed_after_share'])} of the rows "
        "(drawn at random).",
        table(
            ["", "Measured"],
            [
                ["lines in the result", f"{facts['lines']:,}"],
                ["of them bad rows, each in its place", f"{facts['bad']:,}"],
                ["missing, doubled or out of order", f"{facts['missing_or_wrong_lines']:,}"],
                ["rows a second, before the first kill", f"{facts['rows_per_second']:,.0f}"],
                ["seconds to send", f"{seconds['sending']:,.1f}"],
                [
                    "seconds to answer, both kills and the waits after them included",
                    f"{seconds['answering_with_kills']:,.0f}",
                ],
                ["milliseconds to poll its state", f"{look['median']:,.0f}"],
                ["the same near the end", f"{look['at_the_end']:,.0f}"],
            ],
            align="lr",
        ),
        "After kill -9 a job waits until the dead server's lease is over, up to 20 seconds.",
        table(
            ["The server's memory", "Peak"],
            [[words, f"{memory[name]:,.0f} MB"] for name, words in when.items()],
            align="lr",
        ),
        f"Resident; it may grow by {MOST_GROWTH} MB, whatever the number of rows.",
        f"    python benchmarks/jobs.py {facts['rows']}",
    ]
    write_report("jobs", text, facts, ["boatyard", "fastapi", "onnxruntime", "uvicorn"])


def main() -> None:
    """Measure and write the report; fail if the result is incomplete or the memory grew too much."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", type=int, nargs="?", default=ROWS, help=f"{ROWS:,} by default")
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as folder:
        facts = measure(rows, Path(folder))
    print(json.dumps(facts, indent=2))  # noqa: T201
    write(facts)
    if facts["state"] != "finished" or facts["missing_or_wrong_lines"]:
        sys.exit("the result is incomplete")
    if max(facts["memory"].values()) - facts["memory"]["before"] > MOST_GROWTH:
        sys.exit(f"the memory grew by more than {MOST_GROWTH} MB")


if __name__ == "__main__":
    main()
