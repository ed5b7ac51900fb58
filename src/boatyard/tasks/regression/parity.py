"""Whether a quantised regression may be served in place of the exact one."""

from math import sqrt
from typing import Any

from numpy.typing import NDArray

from boatyard.tasks.protocol import Outputs, Parity
from boatyard.tasks.regression.metrics import losses
from boatyard.tasks.score import shown


def parity(exact: Outputs, served: Outputs, targets: NDArray[Any], config: Any) -> Parity:
    """The mean absolute error may grow by `export.max_error_growth` of itself, and by what may be chance."""
    before, after = losses(exact, targets), losses(served, targets)
    growth = after - before
    figures = {
        "fp32_mean_absolute_error": float(before.mean()),
        "int8_mean_absolute_error": float(after.mean()),
        # standard error of the mean growth
        "noise": float(growth.std(ddof=1)) / sqrt(len(growth)) if len(growth) > 1 else 0.0,
    }
    sentence = (
        f"On validation the mean absolute error of int8 is {shown(figures['int8_mean_absolute_error'])} against "
        f"{shown(figures['fp32_mean_absolute_error'])} of fp32."
    )
    return Parity(figures, sentence, refusal(figures, config.export.max_error_growth))


def refusal(figures: dict[str, float], max_error_growth: float) -> str | None:
    """Why int8 must not be served, or None: of few rows, one or two decide nothing."""
    error = figures["fp32_mean_absolute_error"]
    growth, allowed = figures["int8_mean_absolute_error"] - error, max_error_growth * error
    if growth <= allowed + figures["noise"]:
        return None
    return (
        f"int8 is refused: its mean absolute error on validation is {shown(growth)} larger, {shown(allowed)} is allowed"
        f" and {shown(figures['noise'])} may be chance"
    )
