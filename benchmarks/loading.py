"""How training's batches are loaded: by worker processes, and by several ranks:  python benchmarks/loading.py

For the bundled data sets, with `train.dataloader_num_workers` of 0 and 2: how long a step waits for data, and what
the profile says. Then the loader alone, in one process and in two under torchrun (gloo), as the Trainer shards it: rows
a second, and whether all ranks together see every row once an epoch. Writes reports/benchmarks/loading.md and .json.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import torch
from report import write_report

from boatyard.config.compose import load_config
from boatyard.config.processes import allowed_cores
from boatyard.config.schema import Config
from boatyard.data.encode import encode
from boatyard.data.prepare import prepare
from boatyard.evaluate.markdown import table
from boatyard.train.assembly import build_trainer
from boatyard.train.checkpoints import Checkpoints
from boatyard.train.profile.measure import DATA, measure
from boatyard.train.profile.report import bottleneck
from boatyard.train.trainer import POSITION

DATA_SETS = [
    "inbox",
    "harbour",  # part: image, detection
    "resistance",  # part: protein
]
WORKERS = [0, 2]
SECONDS = 5.0  # for which a loader is read over and over


def configured(folder: Path, name: str, *overrides: str) -> Config:
    """Of a bundled data set with its own model; all that is written lies in the folder."""
    places = [f"paths.{place}={folder / place}" for place in ("processed", "runs", "reports", "storage")]
    return load_config([f"data={name}", "tracking=none", "train.use_cpu=true", *places, *overrides])


def profiled(folder: Path) -> list[dict[str, Any]]:
    """A training step's wait for data with each number of workers."""
    found = []
    for name in DATA_SETS:
        for workers in WORKERS:
            config = configured(folder, name, f"train.dataloader_num_workers={workers}")
            prepared = prepare(config)
            profile = measure(config, prepared, encode(config, prepared), folder / "trace.json")
            found.append(
                {
                    "data": name,
                    "workers": workers,
                    "step_ms": 1000 * profile.seconds / profile.steps,
                    "wait_ms": 1000 * profile.parts[DATA] / profile.steps,
                    "wait_share": profile.parts[DATA] / profile.seconds,
                    "verdict": bottleneck(profile),
                }
            )
            print(found[-1], flush=True)  # noqa: T201
    return found


def read_as_rank(folder: Path, workers: int) -> None:
    """Read this process's share of inbox's training rows over and over; what was seen goes to rank-N.json."""
    config = configured(folder, "inbox", f"train.dataloader_num_workers={workers}")
    prepared = prepare(config)
    trainer = build_trainer(config, prepared, encode(config, prepared), Checkpoints(folder / "none", keep=None))
    loader = trainer.get_train_dataloader()
    seen = [int(place) for batch in loader for place in batch[POSITION]]
    trainer.accelerator.wait_for_everyone()
    rows, began = 0, time.perf_counter()
    while time.perf_counter() - began < SECONDS:
        rows += sum(len(batch[POSITION]) for batch in loader)
    rank = int(os.environ.get("RANK", "0"))
    facts = {"rows_per_second": rows / (time.perf_counter() - began), "seen": seen}
    (folder / f"rank-{rank}.json").write_text(json.dumps(facts), encoding="utf-8")


def loaded(folder: Path, ranks: int, workers: int) -> dict[str, Any]:
    """What so many processes read together."""
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}"] if ranks > 1 else []
    subprocess.run(
        [sys.executable, *launcher, __file__, f"--read={folder}", f"--workers={workers}"],
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    read = [json.loads((folder / f"rank-{rank}.json").read_text(encoding="utf-8")) for rank in range(ranks)]
    times = Counter(place for each in read for place in each["seen"])
    found = {
        "ranks": ranks,
        "workers": workers,
        "rows_per_second": sum(each["rows_per_second"] for each in read),
        "rows": len(prepare(configured(folder, "inbox")).splits["train"]),
        "seen": len(times),
        "seen_twice": sum(count > 1 for count in times.values()),
        "by_rank": [len(each["seen"]) for each in read],
    }
    print(found, flush=True)  # noqa: T201
    return found


def write(profiles: list[dict[str, Any]], loads: list[dict[str, Any]]) -> None:
    """Write the figures as Markdown and JSON."""
    waits = [
        [
            each["data"],
            str(each["workers"]),
            f"{each['step_ms']:.1f}",
            f"{each['wait_ms']:.2f}",
            f"{each['wait_share']:.1%}",
        ]
        for each in profiles
    ]
    shares = [
        [
            str(each["ranks"]),
            str(each["workers"]),
            f"{each['rows_per_second']:,.0f}",
            " + ".join(f"{rows:,}" for rows in each["by_rank"]),
            f"{each['seen']:,} of {each['rows']:,}",
            f"{each['seen_twice']:,}",
        ]
        for each in loads
    ]
    verdicts = "\n".join(f"- {each['data']}: {each['verdict']}" for each in profiles if each["workers"] == 0)
    command = "python benchmarks/loading.py"
    text = [
        "# Loading batches",
        f"On {allowed_cores()} cores. Rows are decoded or tokenised once, when they are prepared, by a process for "
        "each core; pictures are varied on the device, with the network. What is left is to collate stored rows.",
        "## Worker processes",
        table(["", "dataloader_num_workers", "ms a step", "ms of it waiting", "Share"], waits, align="lrrrr"),
        f"What the profile says without workers:\n\n{verdicts}",
        "## Several processes",
        table(
            ["Processes", "Workers of each", "Rows a second", "Rows of each in an epoch", "Rows seen", "Seen twice"],
            shares,
            align="rrrrrr",
        ),
        "The loader alone, of inbox, over and over. Under torchrun accelerate gives each process every second batch of "
        "one order, which follows from seed and epoch (`boatyard.train.sampling`). Where rows do not fill the last "
        "round of batches, it takes some of the first ones again, so that no process waits for another.",
        f"    {command}\n    python -m boatyard.train.profile data=inbox train.dataloader_num_workers=0",
    ]
    facts = {"command": command, "profiles": profiles, "loads": loads}
    write_report("loading", text, facts, ["boatyard", "torch", "transformers", "accelerate", "datasets"])


def main() -> None:
    """Measure and write the report; with --read be one of the processes that are measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--read", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--workers", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.read is not None:
        read_as_rank(options.read, options.workers)
        return
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        profiles = profiled(Path(folder))
        loads = [loaded(Path(folder), ranks, workers) for ranks, workers in ((1, 0), (1, 1), (2, 0), (2, 1))]
    write(profiles, loads)


if __name__ == "__main__":
    main()
