"""The outcome of a search: a table, a picture, and the command of the best trial."""

import json
import shlex
import warnings
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import matplotlib as mpl
import optuna
from optuna.trial import FrozenTrial, TrialState
from rich.table import Table

from boatyard.config.console import terminal
from boatyard.config.schema import Sweep
from boatyard.evaluate.markdown import table
from boatyard.pipeline.sweep.space import assigned, fixed
from boatyard.storage.folders import replacing
from boatyard.train.metric import Metric

_BEST = 10  # trials in the table


def write_sweep_report(
    folder: Path, study: optuna.Study, sweep: Sweep, metric: Metric, overrides: Sequence[str]
) -> None:
    """Write report.md, report.json and parallel.png, and print the best trials."""
    trials = [trial for trial in study.trials if trial.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    finished = [trial for trial in trials if trial.state is TrialState.COMPLETE]
    best = sorted(finished, key=lambda trial: trial.value or 0, reverse=metric.higher_is_better)
    heads = ["trial", metric.name, *sweep.space]
    rows = [[str(trial.number + 1), f"{trial.value:.4f}", *_values(trial, sweep)] for trial in best[:_BEST]]
    console = terminal()
    console.print(
        _table_of_trials(
            f"{sweep.name}: {len(finished)} trials, {len(trials) - len(finished)} given up",
            [head.rpartition(".")[2] for head in heads],  # there is little room
            rows,
        )
    )
    if not best:
        return
    command = best_command(best[0], sweep, overrides)
    with replacing(folder) as staging:
        _draw(study, metric.name, staging / "parallel.png")
        paragraphs = [
            f"# Sweep {sweep.name}",
            f"{len(finished)} trials ran to their end and {len(trials) - len(finished)} were given up; the best by "
            f"{metric.name} on the validation split. The test split was not looked at.",
            table(heads, rows, align="r" * len(heads)),
            f"    {command}",
            "![Each line is a trial](parallel.png)",
        ]
        (staging / "report.md").write_text("\n\n".join(paragraphs) + "\n", encoding="utf-8")
        facts = _facts(trials, metric, command)
        (staging / "report.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    console.print("The best, to paste:")
    console.print(f"  {command}", soft_wrap=True)


def best_command(best: FrozenTrial, sweep: Sweep, overrides: Sequence[str]) -> str:
    """The pipeline with the user's own overrides and the trial's."""
    settings = [*fixed(sweep, overrides), *assigned(best.params)]
    options = chain.from_iterable(("-o", setting) for setting in settings)
    return shlex.join(["uv", "run", "invoke", "pipeline", *options])


def _facts(trials: Sequence[FrozenTrial], metric: Metric, best: str) -> dict[str, Any]:
    return {
        "metric": metric.name,
        "best": best,
        "trials": [
            {"number": t.number + 1, "state": t.state.name.lower(), "value": t.value, "parameters": t.params}
            for t in trials
        ],
    }


def _table_of_trials(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    trials = Table(*heads, title=title)
    for row in rows:
        trials.add_row(*row)
    return trials


def _values(trial: FrozenTrial, sweep: Sweep) -> list[str]:
    return [_short(trial.params[key]) for key in sweep.space]


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _draw(study: optuna.Study, metric: str, path: Path) -> None:
    mpl.use("Agg")
    with warnings.catch_warnings(), mpl.rc_context({"text.parse_math": False}):  # a choice may have a dollar sign
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        axes = optuna.visualization.matplotlib.plot_parallel_coordinate(study, target_name=metric)
    figure = axes.get_figure(root=True)
    assert figure is not None
    figure.set_size_inches(10, 5)
    figure.savefig(path, dpi=120, bbox_inches="tight")
    mpl.pyplot.close(figure)
