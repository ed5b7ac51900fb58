"""Whether a quantised classifier may be served in place of the exact one."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from boatyard.tasks.classification.metrics import predicted
from boatyard.tasks.protocol import Outputs, Parity


def parity(exact: Outputs, served: Outputs, targets: NDArray[Any], config: Any) -> Parity:
    """Accuracy may fall by `export.max_accuracy_loss`, and `export.min_agreement` of the labels must stay."""
    before, after = predicted(exact), predicted(served)
    figures = {
        "fp32_accuracy": float((before == targets).mean()),
        "int8_accuracy": float((after == targets).mean()),
        "agreement": float((after == before).mean()),
        # standard error of the difference in accuracy, over the rows that only one of them has right
        "noise": float(np.sqrt(((before == targets) != (after == targets)).sum()) / len(targets)),
    }
    sentence = (
        f"On validation int8 gives the label of fp32 for {figures['agreement']:.2%} of rows; accuracy is "
        f"{figures['int8_accuracy']:.4f} against {figures['fp32_accuracy']:.4f}."
    )
    return Parity(figures, sentence, refusal(figures, config.export.max_accuracy_loss, config.export.min_agreement))


def refusal(figures: dict[str, float], max_accuracy_loss: float, min_agreement: float) -> str | None:
    """Why int8 must not be served, or None: of few rows, one or two decide nothing."""
    loss = figures["fp32_accuracy"] - figures["int8_accuracy"]
    if loss > max_accuracy_loss + figures["noise"]:
        return (
            f"int8 is refused: it loses {loss:.2%} of accuracy on validation, {max_accuracy_loss:.2%} is allowed"
            f" and {figures['noise']:.2%} may be chance"
        )
    if figures["agreement"] < min_agreement:
        return (
            f"int8 is refused: it keeps {figures['agreement']:.2%} of validation's labels, {min_agreement:.2%} is asked"
        )
    return None
