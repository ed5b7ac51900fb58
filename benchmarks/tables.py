"""What models make of tables, and what it takes to serve one:  python benchmarks/tables.py [AMES.csv]

Runs the pipeline on the bundled houses and on those of Ames (De Cock 2011; a CSV file with a column Sale_Price, not
bundled): three seeds on the split by hash, and random splits for the interval. Then it puts the houses' model under
load from wrk (apt install wrk), and sends and prepares a million rows. Writes reports/benchmarks/tables.md and .json;
fails if a goal is missed.
"""

import argparse
import csv
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import torch
from datasets import Dataset
from load import BOATYARD, Server, wrk
from report import write_report

from boatyard.bundle.manifest import open_bundle
from boatyard.bundle.predict import Predictor
from boatyard.evaluate.markdown import table
from boatyard.inputs.training_protocol import ROW
from boatyard.model import Served, open_network

HOUSES, WITHOUT_NOISE = Path("data/raw/houses.csv"), Path("data/raw/houses_without_noise.csv")
MODELS = {"tabm": "network", "boosting": "boosting"}
SEEDS = (0, 1, 2)
SPLITS, AT_ONCE = 20, 2
SHARES = {"test": 0.2, "validation": 0.1}
MILLION = 1_000_000
SECONDS, ROUNDS, CONNECTIONS = 6, 3, (1, 32)
LEVEL_WITH = 0.001  # of MAPE: less apart is as good as level
KNOWN_LATER = ("Sale_Condition", "Sale_Type")  # once a house is sold: what is asked beforehand has neither


@dataclass(frozen=True)
class Houses:
    """A table of houses. `options`: of the pipeline, besides its path and its name."""

    name: str
    path: Path
    price: str
    options: Sequence[str] = ()


BUNDLED = Houses("houses", HOUSES, "price")


@dataclass(frozen=True)
class Run:
    """What a pipeline took, and what its evaluation says."""

    seconds: float
    cpu_seconds: float
    scores: dict[str, float]
    baseline: dict[str, float]
    by_fifth: list[float]
    """The share of truths in the interval, by fifth of the price."""


def pipeline(houses: Houses, model: str, path: Path, folder: Path, seed: int = 0) -> Run:
    """One in an empty `folder`, from the rows at `path` to a published model."""
    paths = [f"paths.{name}={folder / name}" for name in ("processed", "runs", "reports", "storage")]
    data = ["data=table", f"data.path={path}", f"data.name={houses.name}", f"data.target={houses.price}"]
    words = [*data, f"model={model}", f"train.seed={seed}", *houses.options, *paths]
    started = time.monotonic()
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([sys.executable, "-m", "boatyard.pipeline", *words], stdout=log, stderr=log)
        _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit((folder / "log").read_text()[-2000:])
    metrics = json.loads((folder / "reports/evaluation" / houses.name / "metrics.json").read_text())
    return Run(
        time.monotonic() - started,
        usage.ru_utime + usage.ru_stime,
        _by_name(metrics["scores"]),
        _by_name(metrics["baseline"]["scores"]),
        [part["interval_coverage"] for part in metrics["detail"]["ranges"]],
    )


def _by_name(scores: list[dict[str, Any]]) -> dict[str, float]:
    return {score["name"]: score["value"] for score in scores}


def by_seed(houses: Houses, temporary: Path) -> dict[str, Any]:
    """Each model on the split by hash, beside ridge and, of the bundled houses, the price without noise."""
    figures: dict[str, Any] = {}
    for model, name in MODELS.items():
        runs = []
        for seed in SEEDS:
            with tempfile.TemporaryDirectory(dir=temporary) as folder:
                runs.append(pipeline(houses, model, houses.path, Path(folder), seed))
                if houses.path == HOUSES:
                    figures["without_noise"] = error_without_noise(Path(folder, "processed"))
        figures[name] = {
            "mape": [run.scores["mean_absolute_percentage_error"] for run in runs],
            "rmse": [run.scores["root_mean_squared_error"] for run in runs],
            "seconds": [run.seconds for run in runs],
            "cpu_seconds": [run.cpu_seconds for run in runs],
        }
        ridge = runs[0].baseline
        figures["ridge"] = {key: ridge[title] for key, title in _RIDGE.items()}
        print(houses.name, name, figures[name], flush=True)  # noqa: T201
    return figures


_RIDGE = {"mape": "mean_absolute_percentage_error", "rmse": "root_mean_squared_error"}


def error_without_noise(processed: Path) -> float:
    """On the test rows, of the price that no stage reads: it lies in the order of the houses, below a header."""
    (file,) = processed.glob("*/*/test.arrow")
    test = Dataset.from_file(str(file))
    columns = [[float(row["price"]) for row in csv.DictReader(path.open())] for path in (HOUSES, WITHOUT_NOISE)]
    truths, prices = (np.array([column[row - 2] for row in test[ROW][:]]) for column in columns)
    return float(np.mean(np.abs(prices - truths) / truths))


def by_split(houses: Houses, splits: int, temporary: Path) -> dict[str, Any]:
    """The coverage of the interval, on the test rows of so many random splits."""
    with houses.path.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)

    def run(model: str, split: int) -> Run:
        with tempfile.TemporaryDirectory(dir=temporary) as folder:
            source = Path(folder, "rows")
            write_split(source, header, rows, split)
            return pipeline(houses, model, source, Path(folder))

    figures: dict[str, Any] = {}
    for model, name in MODELS.items():
        with ThreadPoolExecutor(AT_ONCE) as pool:
            runs = list(pool.map(partial(run, model), range(splits)))
        figures[name] = {
            "coverage": [run.scores["interval_coverage"] for run in runs],
            "mean": float(np.mean([run.scores["interval_coverage"] for run in runs])),
            "by_fifth": np.mean([run.by_fifth for run in runs], axis=0).tolist(),
            "mape": float(np.mean([run.scores["mean_absolute_percentage_error"] for run in runs])),
        }
        print(houses.name, name, figures[name], flush=True)  # noqa: T201
    return figures


def write_split(folder: Path, header: list[str], rows: list[list[str]], seed: int) -> None:
    """The rows as train.csv, validation.csv and test.csv, shuffled."""
    folder.mkdir()
    shuffled, start = random.Random(seed).sample(rows, len(rows)), 0  # noqa: S311
    for split, share in (*SHARES.items(), ("train", 1.0)):
        end = min(len(rows), start + round(share * len(rows)))
        with (folder / f"{split}.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([header, *shuffled[start:end]])
        start = end


def publish(model: str, folder: Path) -> Path:
    """The storage with the bundled houses' model."""
    folder.mkdir()
    pipeline(BUNDLED, model, HOUSES, folder)
    return folder / "storage"


def parity(storage: Path) -> dict[str, float]:
    """The largest differences of logarithms: of the graph from torch, and of houses alone from houses in a batch."""
    (folder,) = (path.parent for path in storage.glob("models/*/*/bundle.json"))
    predictor = Predictor(open_bundle(folder), threads=1)
    rows = [predictor.input.parse(house) for house in requests()[:600]]
    encoded = predictor.input.encode(rows)
    together = predictor.run(encoded)["value"].ravel()
    alone = np.concatenate([predictor.run([row])["value"].ravel() for row in encoded])
    feeds = {name: torch.from_numpy(array) for name, array in predictor.input.collate(encoded).items()}
    with torch.inference_mode():
        exact = Served(open_network(folder))(**feeds)[0].numpy().ravel()
    return {"graph_and_torch": _apart(together, exact), "alone_and_together": _apart(alone, together)}


def requests() -> list[dict[str, Any]]:
    """The bundled houses as a client sends them."""
    with HOUSES.open(encoding="utf-8", newline="") as file:
        return [{name: _cell(cell) for name, cell in row.items() if name != "price"} for row in csv.DictReader(file)]


def _cell(cell: str) -> Any:
    try:
        return None if cell == "" else json.loads(cell)
    except ValueError:
        return cell


def _apart(first: Any, second: Any) -> float:
    return float(np.abs(np.log(first.astype(float)) - np.log(second.astype(float))).max())


def serving(storage: Path, folder: Path) -> dict[int, dict[str, float]]:
    """By number of connections, medians of rounds: answers a second, latency, and processor time of an answer."""
    bodies = folder / "bodies.jsonl"
    bodies.write_text("".join(f"{json.dumps(house)}\n" for house in requests()), encoding="utf-8")
    rounds: list[dict[int, dict[str, float]]] = []
    with server(storage, folder) as houses:
        wrk(houses, bodies, 8, 2)
        for _ in range(ROUNDS):
            loads = {}
            for connections in CONNECTIONS:
                before = houses.cpu_seconds
                load = wrk(houses, bodies, connections, SECONDS)
                load["cpu_ms"] = 1000 * (houses.cpu_seconds - before) / load["answered"]
                loads[connections] = load
            rounds.append(loads)
        houses.stop()
    return {
        connections: {key: statistics.median(one[connections][key] for one in rounds) for key in rounds[0][connections]}
        for connections in CONNECTIONS
    }


def server(storage: Path, folder: Path) -> Server:
    """A server for the bundled houses' model, with the journal on."""
    settings = {"BOATYARD_STORAGE": str(storage), "BOATYARD_SPOOL": str(folder / "spool"), "BOATYARD_MODEL": "houses"}
    return Server(BOATYARD, folder / "server.log", **settings)


def write_million(path: Path, rows: int) -> None:
    """The bundled houses over and over, each time somewhere else."""
    with HOUSES.open(encoding="utf-8", newline="") as file:
        header, *houses = csv.reader(file)
    place, draw = header.index("km_east"), random.Random(0)  # noqa: S311
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        for row in range(rows):
            house = list(houses[row % len(houses)])
            house[place] = f"{draw.uniform(-9, 9):.9f}"
            writer.writerow(house)


def job(storage: Path, source: Path, folder: Path) -> dict[str, float]:
    """Every row of the file in one job: the server's memory, in megabytes, before and at its peak."""
    with server(storage, folder) as houses, httpx.Client(base_url=houses.url, timeout=600) as client:
        client.post("/predict", json=requests()[0]).raise_for_status()
        before = houses.megabytes("VmRSS")
        houses.reset_peak()
        started, cpu = time.monotonic(), houses.cpu_seconds
        with source.open("rb") as file:
            id_ = (
                client.post("/jobs", content=file, headers={"content-type": "text/csv"}).raise_for_status().json()["id"]
            )
        while (state := client.get(f"/jobs/{id_}").json())["state"] == "running":
            time.sleep(1)
        figures = {
            "rows": state["rows"],
            "bad": state["bad"],
            "seconds": time.monotonic() - started,
            "cpu_seconds": houses.cpu_seconds - cpu,
            "megabytes_before": before,
            "megabytes_peak": houses.megabytes("VmHWM"),
        }
        houses.stop()
    return figures


def preparing(source: Path, folder: Path) -> dict[str, float]:
    """`python -m boatyard.data` on the file: its peak memory, in megabytes."""
    paths = [f"paths.{name}={folder / name}" for name in ("processed", "reports")]
    data = ["data=table", f"data.path={source}", "data.name=many", "data.target=price", "data.on_bad_row=quarantine"]
    started = time.monotonic()
    process = subprocess.Popen([sys.executable, "-m", "boatyard.data", *data, *paths])
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"preparing {source} failed")
    return {
        "seconds": time.monotonic() - started,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "megabytes_peak": usage.ru_maxrss * 1024 / 1e6,
    }


def goals(facts: dict[str, Any]) -> dict[str, bool]:
    """By name, whether each that was measured is met."""
    reached: dict[str, bool] = {}
    houses, ames = facts["by_seed"]["houses"], facts["by_seed"].get("ames")
    network = statistics.mean(houses["network"]["mape"])
    reached["houses: MAPE of the network at most 1.15 times that of the price without noise"] = (
        network <= 1.15 * houses["without_noise"]
    )
    reached["houses: MAPE of the network at most that of boosting"] = (
        network <= statistics.mean(houses["boosting"]["mape"]) + LEVEL_WITH
    )
    reached["houses: pipeline within 60 s of processor time"] = max(houses["network"]["cpu_seconds"]) <= 60
    if ames:
        best = {key: statistics.mean(ames["network"][key]) for key in ("mape", "rmse")}
        reached["Ames: MAPE of the network at most 0.080"] = best["mape"] <= 0.080
        reached["Ames: RMSE of the network at most 19,800"] = best["rmse"] <= 19_800
    for name, (low, high) in {"houses": (0.88, 0.92), "ames": (0.86, 0.94)}.items():
        for model, figures in facts["by_split"].get(name, {}).items():
            reached[f"{name}: interval of {model} between {low} and {high}"] = low <= figures["mean"] <= high
            reached[f"{name}: interval of {model} by fifth at least 0.85"] = min(figures["by_fifth"]) >= 0.85
    for model, apart in facts["parity"].items():
        reached[f"{model}: graph and torch within 1e-5"] = apart["graph_and_torch"] <= 1e-5
        reached[f"{model}: alone and together within 1e-6"] = apart["alone_and_together"] <= 1e-6
    alone, many = (facts["serving"][connections] for connections in CONNECTIONS)
    reached["served: p50 of one row at most 2 ms"] = alone["p50_ms"] <= 2
    reached["served: 2,500 a second at 32 connections"] = many["per_second"] >= 2_500
    for name in ("job", "preparing"):
        reached[f"{name}: a million rows in less than 1 GB"] = facts[name]["megabytes_peak"] < 1_000
    return reached


def report(facts: dict[str, Any], command: str) -> list[str]:
    """Write the figures as Markdown and JSON; returns the goals that are missed."""
    missed = [name for name, met in goals(facts).items() if not met]
    text = ["# Tables"]
    for name, figures in facts["by_seed"].items():
        rows = [_row(model, figures[model]) for model in MODELS.values()]
        rows.append(
            ["ridge on logarithms", f"{figures['ridge']['mape']:.4f}", f"{figures['ridge']['rmse']:,.0f}", "", ""]
        )
        if "without_noise" in figures:
            rows.append(["the price without noise", f"{figures['without_noise']:.4f}", "", "", ""])
        text += [
            f"## {name.capitalize()}",
            f"On the split by hash; of {len(SEEDS)} seeds the mean, and the range in brackets.",
            table(["", "MAPE", "RMSE", "Seconds", "Processor seconds"], rows, align="lrrrr"),
        ]
        if splits := facts["by_split"].get(name):
            covered = [
                [model, f"{one['mean']:.3f}", *(f"{share:.3f}" for share in one["by_fifth"]), f"{one['mape']:.4f}"]
                for model, one in splits.items()
            ]
            count = len(next(iter(splits.values()))["coverage"])
            text += [
                f"The share of truths in the 90 % interval, on {count} random splits; by fifth of the price:",
                table(["", "All", "Lowest", "2nd", "3rd", "4th", "Highest", "MAPE"], covered, align="lrrrrrrr"),
            ]
    apart = [[model, *(f"{value:.1e}" for value in one.values())] for model, one in facts["parity"].items()]
    served = [
        [
            f"{connections}",
            f"{one['per_second']:,.0f}",
            f"{one['p50_ms']:.2f}",
            f"{one['p99_ms']:.2f}",
            f"{one['cpu_ms']:.3f}",
            f"{one['asker_cores']:.2f}",
        ]
        for connections, one in facts["serving"].items()
    ]
    job, preparing = facts["job"], facts["preparing"]
    text += [
        "## The graph",
        "The largest difference of two answers' logarithms, on 600 of the bundled houses:",
        table(["", "graph and torch", "alone and in a batch"], apart, align="lrr"),
        "## Serving",
        "The network for the bundled houses over HTTP, one house a request, with the journal on. wrk uses part of the "
        f"same cores. Medians of {ROUNDS} rounds of {SECONDS} s.",
        table(
            ["Connections", "Answers a second", "p50, ms", "p99, ms", "Processor ms an answer", "Cores of wrk"],
            served,
            align="r" * 6,
        ),
        "## A million rows",
        table(
            ["", "Seconds", "Processor seconds", "Memory before", "Peak memory"],
            [
                [
                    "a job: CSV in, answers out",
                    f"{job['seconds']:,.0f}",
                    f"{job['cpu_seconds']:,.0f}",
                    f"{job['megabytes_before']:,.0f} MB",
                    f"{job['megabytes_peak']:,.0f} MB",
                ],
                [
                    "prepared and encoded",
                    f"{preparing['seconds']:,.0f}",
                    f"{preparing['cpu_seconds']:,.0f}",
                    "",
                    f"{preparing['megabytes_peak']:,.0f} MB",
                ],
            ],
            align="lrrrr",
        ),
        "Resident, with mapped pages of Arrow files.",
        f"    {command}",
        f"Goals missed: {'; '.join(missed)}." if missed else "All goals are met.",
    ]
    write_report("tables", text, facts, ["boatyard", "onnxruntime", "scikit-learn", "torch", "transformers", "uvicorn"])
    return missed


def _row(model: str, figures: dict[str, list[float]]) -> list[str]:
    formats = {"mape": ".4f", "rmse": ",.0f", "seconds": ".0f", "cpu_seconds": ".0f"}
    return [model, *(_spread(figures[key], form) for key, form in formats.items())]


def _spread(values: list[float], form: str) -> str:
    return f"{statistics.mean(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def main() -> None:
    """Measure and write the report; fail if a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ames", type=Path, nargs="?", help="ames.csv; without it, Ames is left out")
    parser.add_argument("--splits", type=int, default=SPLITS, help=f"random ones, {SPLITS} by default")
    parser.add_argument("--rows", type=int, default=MILLION, help=f"of a job and a table, {MILLION:,} by default")
    given = parser.parse_args()
    tables = [BUNDLED]
    if given.ames is not None:
        ames = Houses("ames", given.ames, "Sale_Price")
        drop = f"data.drop=[{','.join(KNOWN_LATER)}]"
        tables += [ames, replace(ames, name="ames-beforehand", options=[drop])]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        storages = {name: publish(model, folder / name) for model, name in MODELS.items()}
        source = folder / "many.csv"
        write_million(source, given.rows)
        facts: dict[str, Any] = {
            "parity": {name: parity(storage) for name, storage in storages.items()},
            "job": job(storages["network"], source, folder),
            "preparing": preparing(source, folder),
            "by_seed": {houses.name: by_seed(houses, folder) for houses in tables},
            "by_split": {houses.name: by_split(houses, given.splits, folder) for houses in tables[:2] if given.splits},
            "serving": serving(storages["network"], folder),
        }
    command = " ".join(["python benchmarks/tables.py", *(["AMES.csv"] if given.ames else []), *_options(given)])
    if missed := report(facts | {"command": command}, command):
        sys.exit("missed: " + "; ".join(missed))


def _options(given: argparse.Namespace) -> list[str]:
    defaults = {"splits": SPLITS, "rows": MILLION}
    return [f"--{name}={getattr(given, name)}" for name, usual in defaults.items() if getattr(given, name) != usual]


if __name__ == "__main__":
    main()
