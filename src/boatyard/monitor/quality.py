"""Is the model still as often right as it was, by those who came back to say?"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom, binomtest

from boatyard.bundle import Manifest
from boatyard.monitor.results import Quality, Verdict

LEAST_FEEDBACK = 30
_FALSE_ALARMS = 0.005

Rows = NDArray[np.void]


def is_right(predictions: Rows, feedback: Rows) -> NDArray[np.bool_]:
    """Of the predictions that feedback speaks of, each once, whether it agrees. `feedback` is ordered by id."""
    if not len(feedback):
        return np.zeros(0, dtype=bool)
    _, first = np.unique(predictions["id"], return_index=True)
    told = predictions[first]
    place = np.minimum(np.searchsorted(feedback["id"], told["id"]), len(feedback) - 1)
    spoken = feedback["id"][place] == told["id"]
    return np.asarray(feedback["label"][place[spoken]] == told["label"][spoken])


def live_quality(right: NDArray[np.bool_], accepted: float | None) -> Quality:
    """How often the model was right."""
    rows = len(right)
    if not rows:
        return Quality(feedback=0, accuracy=None, low=None, high=None, accepted=accepted)
    between = binomtest(int(right.sum()), rows).proportion_ci(method="wilson")
    return Quality(
        feedback=rows,
        accuracy=float(right.mean()),
        low=float(between.low),
        high=float(between.high),
        accepted=accepted,
    )


def accepted_accuracy(manifest: Manifest) -> tuple[float | None, float | None]:
    """On the test rows, and the low end of its 95% interval; None where the bundle does not say."""
    served: dict[str, Any] = manifest.metrics.get("served") or {}
    accuracy = served.get("accuracy")
    return accuracy, served.get("accuracy_low", accuracy)


def quality_verdict(quality: Quality, low: float | None) -> Verdict:
    """Whether there are more mistakes than chance explains, were the accepted accuracy what it is at least."""
    value = threshold = None
    drifted = False
    if quality.accuracy is None or quality.feedback < LEAST_FEEDBACK:
        sentence = f"Not enough feedback: {quality.feedback} answers were judged, and {LEAST_FEEDBACK} are needed."
    elif quality.accepted is None or low is None:
        sentence = (
            f"{quality.accuracy:.1%} of {quality.feedback} judged answers are right; the bundle names no accuracy."
        )
    else:
        value = 1 - quality.accuracy
        threshold = float(binom.ppf(1 - _FALSE_ALARMS, quality.feedback, 1 - low)) / quality.feedback
        drifted = value > threshold + 1e-9
        sentence = (
            f"{quality.accuracy:.1%} of {quality.feedback} judged answers are right ({quality.low:.1%} to "
            f"{quality.high:.1%}), {quality.accepted:.1%} when it was accepted: "
            f"{'fewer than chance explains' if drifted else 'as chance has it'}."
        )
    return Verdict(
        name="accuracy",
        group="live quality",
        statistic="share of mistakes",
        value=value,
        threshold=threshold,
        drifted=drifted,
        sentence=sentence,
    )
