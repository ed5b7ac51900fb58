"""How good numbers are: pure functions of targets and answers."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import mean_absolute_percentage_error, r2_score, root_mean_squared_error

from boatyard.config.schema import Config
from boatyard.tasks.protocol import Outputs, Target
from boatyard.tasks.regression.interval import LEVEL, Floats, fit_quantiles, interval, quantile_of
from boatyard.tasks.regression.serving import mean_absolute_error, of_rows
from boatyard.tasks.score import Losses, Score, Scores

BY_GROUP = ("mean_absolute_percentage_error", "interval_coverage")
_WITHIN = (5, 10, 20)  # percent of the truth
_MOST_POINTS = 1_000  # that metrics.json holds, for the page
_RANGES = 5


def answered(outputs: Outputs) -> Floats:
    """The `value` of each row, float64[rows]."""
    return of_rows(outputs["value"])


def losses(outputs: Outputs, targets: NDArray[Any]) -> Losses:
    """How far off each answer is."""
    distances: Losses = np.abs(answered(outputs) - targets)
    return distances


def fit_after(outputs: Outputs, targets: NDArray[Any], target: Target, config: Any) -> Target:  # noqa: ARG001
    """`quantiles`, which make an interval of a value and its spread."""
    truths, spread = np.asarray(targets, np.float64), of_rows(outputs["spread"])
    return {"quantiles": fit_quantiles(answered(outputs), spread, truths, log=target["log"])}


def intervals(outputs: Outputs, target: Target) -> tuple[Floats, Floats] | None:
    """Of each row, for a share LEVEL of rows like these; None where the outputs have no spread, as a baseline's."""
    if "spread" not in outputs:
        return None
    quantile = quantile_of(LEVEL, target["quantiles"])
    return interval(answered(outputs), of_rows(outputs["spread"]), quantile, log=target["log"])


def score(outputs: Outputs, targets: NDArray[Any], target: Target, config: Config) -> Scores:  # noqa: ARG001
    """The mean absolute error and others; of the interval, where the outputs have one.

    Raises ValueError when there is no row, or another number of answers.
    """
    answers, truths = answered(outputs), np.asarray(targets, np.float64)
    if answers.shape != truths.shape or not truths.size:
        raise ValueError(f"{len(truths)} targets do not fit {len(answers)} answers: at least one row is needed")
    distances = np.abs(answers - truths)
    scores = [
        mean_absolute_error(distances),
        Score("root_mean_squared_error", float(root_mean_squared_error(truths, answers)), higher_is_better=False),
    ]
    if len(truths) > 1:
        scores.append(Score("r2", float(r2_score(truths, answers))))
    if (truths != 0).all():
        relative = float(mean_absolute_percentage_error(truths, answers))
        scores.append(Score("mean_absolute_percentage_error", relative, higher_is_better=False))
    for percent in _WITHIN:
        share = float((distances <= percent / 100 * np.abs(truths)).mean())
        scores.append(Score(f"within_{percent}_percent", share))
    if ends := intervals(outputs, target):
        low, high = ends
        scores.append(Score("interval_coverage", float(((low <= truths) & (truths <= high)).mean())))
        scores.append(Score("interval_width", float(np.median(high - low)), higher_is_better=False))
    detail = {"points": _points(answers, truths), "ranges": ranges(outputs, targets, target)}
    return Scores(len(truths), scores, detail)


def ranges(outputs: Outputs, targets: NDArray[Any], target: Target) -> list[dict[str, float]]:
    """How far off answers are by the size of the truth: up to five ranges that hold as many rows each."""
    answers, truths = answered(outputs), np.asarray(targets, np.float64)
    low, high = intervals(outputs, target) or (answers, answers)
    edges = np.unique(np.quantile(truths, np.linspace(0, 1, _RANGES + 1)))
    place = np.clip(np.searchsorted(edges, truths, side="right") - 1, 0, max(len(edges) - 2, 0))
    return [
        part_of(answers[place == index], truths[place == index], low[place == index], high[place == index])
        for index in np.unique(place)
    ]


def part_of(answers: Floats, truths: Floats, low: Floats, high: Floats) -> dict[str, float]:
    """Figures of some rows; `low` and `high`: the ends of their intervals."""
    return {
        "low": float(truths.min()),
        "high": float(truths.max()),
        "rows": len(truths),
        "mean_absolute_error": float(np.abs(answers - truths).mean()),
        "mean_error": float((answers - truths).mean()),
        "interval_coverage": float(((low <= truths) & (truths <= high)).mean()),
    }


def _points(answers: Floats, truths: Floats) -> list[dict[str, float]]:
    """Rows to draw: all of them, or a sample."""
    drawn = np.sort(np.random.default_rng(0).permutation(len(truths))[:_MOST_POINTS])
    return [{"truth": float(truths[row]), "value": float(answers[row])} for row in drawn]
