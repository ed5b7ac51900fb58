"""What the search found: a table, a picture, and the line to paste."""

import json
import shlex
import warnings
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import matplotlib as mpl
import optuna
from optuna.trial import FrozenTrial, TrialState
from rich.table import Table

from boatyard.config.console import terminal
from boatyard.config.schema import Sweep
from boatyard.evaluate.markdown import table
from boatyard.pipeline.sweep.space import assigned, fixed
from boatyard.storage.folders import replacing

_SHOWN = 10


def write_sweep_report(folder: Path, study: optuna.Study, sweep: Sweep, overrides: Sequence[str]) -> None:
    """Write report.md, report.json and parallel.png, and print the best trials."""
    trials = [trial for trial in study.trials if trial.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    finished = [trial for trial in trials if trial.state is TrialState.COMPLETE]
    best = sorted(finished, key=lambda trial: trial.value or 0, reverse=sweep.direction == "maximize")
    heads = ["trial", sweep.metric, *sweep.space]
    rows = [[str(trial.number + 1), f"{trial.value:.4f}", *_values(trial, sweep)] for trial in best[:_SHOWN]]
    shown = Table(title=f"{sweep.name}: {len(finished)} trials, {len(trials) - len(finished)} given up")
    for head in heads:
        shown.add_column(head)
    for row in rows:
        shown.add_row(*row)
    console = terminal()
    console.print(shown)
    if not best:
        return
    command = best_command(best[0], sweep, overrides)
    with replacing(folder) as staging:
        _draw(study, sweep.metric, staging / "parallel.png")
        text = [
            f"# Sweep {sweep.name}",
            f"{len(finished)} trials ran to their end and {len(trials) - len(finished)} were given up; the best by "
            f"{sweep.metric} on the validation split. The test split was not looked at.",
            table(heads, rows, align="r" * len(heads)),
            f"    {command}",
            "![Each line is a trial](parallel.png)",
        ]
        (staging / "report.md").write_text("\n\n".join(text) + "\n", encoding="utf-8")
        facts = {
            "metric": sweep.metric,
            "best": command,
            "trials": [
                {"number": t.number + 1, "state": t.state.name.lower(), "value": t.value, "parameters": t.params}
                for t in trials
            ],
        }
        (staging / "report.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    console.print("The best, to paste:")
    console.print(f"  {command}", soft_wrap=True)


def best_command(best: FrozenTrial, sweep: Sweep, overrides: Sequence[str]) -> str:
    """The pipeline with the user's own overrides and the trial's."""
    words = [*fixed(sweep, overrides), *assigned(best.params)]
    return shlex.join(["uv", "run", "invoke", "pipeline", *chain.from_iterable(("-o", word) for word in words)])


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
