"""Whether a quantised detector may be served in place of the exact one."""

from typing import Any

from numpy.typing import NDArray

from boatyard.tasks.detection.matching import FOUND_AT
from boatyard.tasks.detection.metrics import found_in, there_in
from boatyard.tasks.detection.precision import average_precisions, matches, mean_precisions
from boatyard.tasks.protocol import Outputs, Parity


def parity(exact: Outputs, served: Outputs, targets: NDArray[Any], config: Any) -> Parity:
    """The mAP50 may fall by `export.max_map50_loss`."""
    there, classes = there_in(targets), exact["scores"].shape[-1]
    before, after = (
        mean_precisions(average_precisions(matches(found_in(outputs), there, classes, at=[FOUND_AT])))[0]
        for outputs in (exact, served)
    )
    most = config.export.max_map50_loss
    sentence = f"On validation the mAP50 of int8 is {after:.4f} against {before:.4f} of fp32."
    refusal = f"int8 is refused: it loses {before - after:.4f} of mAP50 on validation, {most:g} is allowed"
    return Parity({"fp32_map50": before, "int8_map50": after}, sentence, refusal if before - after > most else None)
