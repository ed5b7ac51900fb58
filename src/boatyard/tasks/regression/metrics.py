"""How good numbers are: pure functions of targets and answers."""

from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import mean_absolute_percentage_error, r2_score, root_mean_squared_error

from boatyard.config.schema import Config
from boatyard.tasks.protocol import Outputs, Target
from boatyard.tasks.regression.serving import mean_absolute_error
from boatyard.tasks.score import Losses, Score, Scores

Floats = NDArray[np.float64]

COVERAGE = 0.9
"""The share of rows whose truth the interval is to hold."""
_WITHIN = (5, 10, 20)  # percent of the truth
_MOST_POINTS = 1_000  # that metrics.json holds, for the page
_RANGES = 5


def answered(outputs: Outputs) -> Floats:
    """The `value` of each row, float64[rows]."""
    return np.asarray(outputs["value"], np.float64).reshape(-1)


def losses(outputs: Outputs, targets: NDArray[Any]) -> Losses:
    """How far off each answer is."""
    distances: Losses = np.abs(answered(outputs) - targets)
    return distances


def fit_after(outputs: Outputs, targets: NDArray[Any]) -> Target:
    """`margin`: answers plus and minus so much hold the truth of 90% of rows like these.

    Split conformal prediction (Lei et al., "Distribution-Free Predictive Inference for Regression", JASA 2018): of n
    distances the ceil(0.9 (n + 1))-th smallest. Fewer than 9 rows give no such guarantee: then it is the largest.
    """
    distances = np.sort(losses(outputs, targets))
    rank = min(ceil(COVERAGE * (len(distances) + 1)), len(distances))
    return {"margin": float(distances[rank - 1])}


def score(outputs: Outputs, targets: NDArray[Any], target: Target, config: Config) -> Scores:  # noqa: ARG001
    """The mean absolute error and others; of the interval, where the target has a `margin`.

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
    if (margin := target.get("margin")) is not None:
        scores.append(Score("interval_coverage", float((distances <= margin).mean())))
        scores.append(Score("interval_width", 2 * margin, higher_is_better=False))
    return Scores(len(truths), scores, {"points": _points(answers, truths), "ranges": ranges(answers, truths)})


def ranges(answers: Floats, truths: Floats) -> list[dict[str, float]]:
    """How far off answers are by the size of the truth: up to five ranges that hold as many rows each."""
    edges = np.unique(np.quantile(truths, np.linspace(0, 1, _RANGES + 1)))
    place = np.clip(np.searchsorted(edges, truths, side="right") - 1, 0, max(len(edges) - 2, 0))
    parts = [(answers[place == index], truths[place == index]) for index in np.unique(place)]
    return [
        {
            "low": float(truth.min()),
            "high": float(truth.max()),
            "rows": len(truth),
            "mean_absolute_error": float(np.abs(answer - truth).mean()),
            "mean_error": float((answer - truth).mean()),
        }
        for answer, truth in parts
    ]


def _points(answers: Floats, truths: Floats) -> list[dict[str, float]]:
    """Rows to draw: all of them, or a sample."""
    drawn = np.sort(np.random.default_rng(0).permutation(len(truths))[:_MOST_POINTS])
    return [{"truth": float(truths[row]), "value": float(answers[row])} for row in drawn]
