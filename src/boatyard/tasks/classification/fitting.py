"""What is learnt on validation, once the network is trained: how sure it may be, and from where on to say yes."""

import logging
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

from boatyard.config.errors import UserError
from boatyard.tasks.classification.decision import Floats, at_temperature
from boatyard.tasks.protocol import Outputs, Target

log = logging.getLogger(__name__)

_HOTTEST = 20.0
_PRIOR = 0.5  # the standard deviation of the temperature's logarithm before a row was seen
_MOST_CELLS = 2**22  # that a temperature is fitted to: some seconds


def fit_after(outputs: Outputs, targets: NDArray[Any], target: Target, config: Any) -> Target:
    """`temperature` and, where one label is told from the rest, `positive` and any `threshold` that is asked for.

    Raises UserError where `evaluate` asks for what the labels or the rows do not allow.
    """
    temperature = fit_temperature(outputs["probabilities"], targets)
    fitted: Target = {"temperature": temperature}
    wanted, labels = config.evaluate, target["labels"]
    positive = _positive(wanted.positive, targets, labels)
    if positive is None:
        if wanted.precision is not None or wanted.recall is not None:
            raise UserError(
                f"evaluate.positive must name the label that is told from the {len(labels) - 1} others: "
                "evaluate.precision and evaluate.recall are one label's"
            )
        return fitted
    fitted["positive"] = positive
    number = labels.index(positive)
    chances, has = at_temperature(outputs["probabilities"], temperature)[:, number], targets == number
    if wanted.precision is not None:
        fitted["threshold"] = for_precision(chances, has, wanted.precision, positive)
    elif wanted.recall is not None:
        fitted["threshold"] = for_recall(chances, has, wanted.recall, positive)
    return fitted


def fit_temperature(probabilities: Floats, targets: NDArray[Any]) -> float:
    """The one by which the truths are likeliest (Guo et al., "On Calibration of Modern Neural Networks", ICML 2017).

    A normal prior on its logarithm, around 0, keeps it near 1 where rows are few: were all right, it would be 0.
    """
    step = -(-probabilities.size // _MOST_CELLS)
    probabilities, targets = probabilities[::step], targets[::step]
    logits = np.log(np.maximum(probabilities.astype(np.float64), np.finfo(np.float64).tiny))
    right = logits[np.arange(len(logits)), targets]

    def loss(cold: float) -> float:
        """Of the logarithm of 1 / temperature."""
        scale = np.exp(cold)
        return float((logsumexp(scale * logits, axis=1) - scale * right).sum() + (cold / _PRIOR) ** 2 / 2)

    farthest = np.log(_HOTTEST)
    found = minimize_scalar(loss, bounds=(-farthest, farthest), method="bounded", options={"xatol": 1e-4})
    return round(float(np.exp(-found.x)), 4)


def for_precision(chances: Floats, has: NDArray[np.bool_], least: float, label: str) -> float:
    """The lowest threshold at which the share `least` of the rows above it have the label.

    Raises UserError where there is none.
    """
    thresholds, found, taken = _at_each(chances, has)
    precision = found / taken
    enough = np.flatnonzero((precision >= least) & (found > 0))
    if not len(enough):
        best = f"the highest is {precision.max():.3f}" if has.any() else "none of its rows has the label"
        raise UserError(f"evaluate.precision={least} of {label!r} is not reached on validation: {best}")
    return float(thresholds[enough[-1]])


def for_recall(chances: Floats, has: NDArray[np.bool_], least: float, label: str) -> float:
    """The highest threshold above which the share `least` of the label's rows lie.

    Raises UserError where it has none.
    """
    if not has.any():
        raise UserError(f"evaluate.recall={least}: no row of validation has the label {label!r}")
    thresholds, found, _ = _at_each(chances, has)
    return float(thresholds[np.argmax(found / has.sum() >= least)])


def _at_each(
    chances: Floats, has: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """Each different probability, the highest first, and how many rows from there on have the label, and how many."""
    order = np.argsort(-chances, kind="stable")
    chances, has = chances[order], has[order]
    last = np.flatnonzero(np.append(np.diff(chances) != 0, True))
    return chances[last].astype(np.float64), has.cumsum()[last], last + 1


def _positive(wanted: str | None, targets: NDArray[Any], labels: list[str]) -> str | None:
    """The label that is told from the rest: of two, unless one is wanted, that with fewer rows."""
    if wanted is not None:
        if wanted not in labels:
            raise UserError(f"evaluate.positive={wanted!r} is none of the labels: {', '.join(labels[:10])}")
        return wanted
    if len(labels) != 2:
        return None
    first, second = np.bincount(targets, minlength=2)
    return labels[0] if first < second else labels[1]
