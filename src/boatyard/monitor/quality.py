"""Is the model still as often right as it was, by those who came back to say?"""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom, binomtest

from boatyard.bundle.manifest import Manifest
from boatyard.monitor.drift import LEAST
from boatyard.monitor.looks import FEEDBACK, SUSPICIOUS
from boatyard.monitor.results import Quality, Verdict
from boatyard.monitor.traffic import Names

LEAST_FEEDBACK = 30

Rows = NDArray[np.void]


def is_right(predictions: Rows, feedback: Rows, names: Names, known: Iterable[str]) -> tuple[NDArray[np.bool_], int]:
    """Of the predictions that feedback speaks of, whether it agrees. Each id comes once; `feedback` is ordered by it.

    Where it names none of the `known` labels, the answer is not judged; how many these are comes second.
    """
    if not len(feedback):
        return np.zeros(0, dtype=bool), 0
    place = np.minimum(np.searchsorted(feedback["id"], predictions["id"]), len(feedback) - 1)
    spoken = feedback["id"][place] == predictions["id"]
    normal = names.normal()
    said = normal[feedback["label"][place[spoken]]]
    agrees = said == normal[predictions["label"][spoken]]
    judged = agrees | np.isin(said, names.numbers(known))
    return agrees[judged], int((~judged).sum())


def live_quality(right: NDArray[np.bool_], accepted: float | None, unknown: int = 0) -> Quality:
    """How often the model was right."""
    rows = len(right)
    if not rows:
        return Quality(feedback=0, accuracy=None, low=None, high=None, accepted=accepted, unknown=unknown)
    between = binomtest(int(right.sum()), rows).proportion_ci(method="wilson")
    return Quality(
        feedback=rows,
        accuracy=float(right.mean()),
        low=float(between.low),
        high=float(between.high),
        accepted=accepted,
        unknown=unknown,
    )


def accepted_accuracy(manifest: Manifest) -> tuple[float | None, float | None]:
    """On the test rows, and the low end of its 95% interval; None where the bundle does not say."""
    served: dict[str, Any] = manifest.metrics.get("served") or {}
    accuracy = served.get("accuracy")
    return accuracy, served.get("accuracy_low", accuracy)


def quality_verdict(quality: Quality, low: float | None, least: float = LEAST) -> Verdict:
    """Whether there are more mistakes than chance explains, were the accepted accuracy what it is at least.

    `least`: a share of mistakes that grew by less does not matter.
    """
    value = threshold = p = None
    suspicious = False
    if quality.accuracy is None or quality.feedback < LEAST_FEEDBACK:
        sentence = f"Not enough feedback: {quality.feedback} answers were judged, and {LEAST_FEEDBACK} are needed."
    elif quality.accepted is None or low is None:
        sentence = (
            f"{quality.accuracy:.1%} of {quality.feedback} judged answers are right; the bundle names no accuracy."
        )
    else:
        value = 1 - quality.accuracy
        passing = float(binom.ppf(1 - SUSPICIOUS * FEEDBACK, quality.feedback, 1 - low)) / quality.feedback
        threshold = max(passing, 1 - quality.accepted + least)
        suspicious = value > threshold + 1e-9
        p = min(1.0, float(binom.sf(round(value * quality.feedback) - 1, quality.feedback, 1 - low)) / FEEDBACK)
        sentence = (
            f"{quality.accuracy:.1%} of {quality.feedback} judged answers are right ({quality.low:.1%} to "
            f"{quality.high:.1%}), {quality.accepted:.1%} when it was accepted: "
            f"{'fewer than chance explains' if suspicious else 'as chance has it, or too little to matter'}."
        )
    if quality.unknown:
        sentence += f" {quality.unknown} more were said to be what the model has no label for."
    return Verdict(
        name="accuracy",
        group="live quality",
        statistic="share of mistakes",
        value=value,
        threshold=threshold,
        p=p,
        suspicious=suspicious,
        sentence=sentence,
    )
