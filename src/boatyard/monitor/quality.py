"""Live quality: by its feedback, is the model still as good as when it was accepted?"""

import json

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom, t

from boatyard.config.plurals import counted
from boatyard.inputs.protocol import InvalidInput
from boatyard.monitor.drift import MIN_EFFECT
from boatyard.monitor.looks import FEEDBACK, SUSPICIOUS
from boatyard.monitor.results import QUALITY, Quality, Verdict
from boatyard.monitor.traffic import Traffic
from boatyard.tasks.protocol import OpenTask, Truth
from boatyard.tasks.score import Losses, Score, shown

MIN_FEEDBACK = 30


def live_losses(traffic: Traffic, predictions: NDArray[np.void], task: OpenTask) -> tuple[Losses, int]:
    """The loss of each prediction that has feedback, and the number whose feedback the task does not accept.

    `predictions`: some of the traffic's. Those that lack a column of the task are ignored.
    """
    feedback = traffic.feedback
    if not len(feedback):
        return np.zeros(0), 0
    place = np.minimum(np.searchsorted(feedback["id"], predictions["id"]), len(feedback) - 1)
    has_feedback = feedback["id"][place] == predictions["id"]
    numbers = feedback["truth"][place[has_feedback]].tolist()
    truths = {number: _parse(traffic.truths.all[number], task) for number in set(numbers)}
    needed = {column.name for column in task.columns}
    losses, unknown = [], 0
    for answer, number in zip(traffic.values(predictions[has_feedback]), numbers, strict=True):
        if not needed <= answer.keys():
            continue
        if (truth := truths[number]) is None:
            unknown += 1
        else:
            losses.append(task.loss(answer, truth))
    return np.array(losses, np.float64), unknown


def live_quality(losses: Losses, task: OpenTask, accepted: Score | None, unknown: int = 0) -> Quality:
    """The task's primary score on the judged answers, and the accepted one."""
    score = task.score(losses) if len(losses) else None
    return Quality(feedback=len(losses), score=score, accepted=accepted, unknown=unknown)


def quality_verdict(quality: Quality, losses: Losses, task: OpenTask, min_effect: float = MIN_EFFECT) -> Verdict:
    """Whether the mean loss is significantly higher than the pessimistic end of the accepted interval.

    Losses of 0 and 1 are tested by the exact binomial test, others by Student's one-sided t-test of a mean; with the
    long upper tail that losses have, it rejects too rarely rather than too often (Johnson 1978).

    `min_effect`: the smallest relevant effect, as a share of wrong answers or, of other losses, of the accepted loss.
    """
    value = threshold = p = None
    suspicious = binary = False
    live, accepted = quality.score, quality.accepted
    if live is None or quality.feedback < MIN_FEEDBACK:
        answers = counted(quality.feedback, "answer", ("was", "were"))
        sentence = f"Not enough feedback: {answers} judged, and {MIN_FEEDBACK} are needed."
    elif accepted is None or accepted.name != live.name:
        sentence = f"{_measured(quality, live)}; the bundle does not say what it was when it was accepted."
    else:
        scores = (live.value, accepted.value, _worst(accepted))
        value, accepted_loss, bound = (_mean_loss(score, task) for score in scores)
        binary = bool(np.isin(losses, (0, 1)).all() and 0 <= bound <= 1)
        if binary:
            largest_passing, p = _binomial_test(losses, bound)
        else:
            largest_passing, p = _t_test(losses, bound)
        relevant = accepted_loss + min_effect if binary else accepted_loss * (1 + min_effect)
        threshold = max(largest_passing, relevant)
        suspicious = value > threshold * (1 + 1e-9)
        p = min(1.0, p / FEEDBACK)
        sentence = (
            f"{_measured(quality, live)}, {accepted.shown} when it was accepted: "
            f"{'worse than chance explains' if suspicious else 'within chance, or too small to matter'}."
        )
    if quality.unknown:
        sentence += f" Feedback on {quality.unknown} more names what this model cannot answer."
    return Verdict(
        name=QUALITY,
        group="live quality",
        statistic="share of mistakes" if binary else "mean loss",
        value=value,
        threshold=threshold,
        p=p,
        suspicious=suspicious,
        sentence=sentence,
    )


def _parse(truth: str, task: OpenTask) -> Truth | None:
    try:
        return task.parse_truth(json.loads(truth))
    except InvalidInput:
        return None


def _measured(quality: Quality, live: Score) -> str:
    interval = "" if live.low is None or live.high is None else f" ({shown(live.low)} to {shown(live.high)})"
    return f"The {live.title} of {quality.feedback} judged answers is {live.shown}{interval}"


def _worst(score: Score) -> float:
    end = score.low if score.higher_is_better else score.high
    return score.value if end is None else end


def _mean_loss(score: float, task: OpenTask) -> float:
    """The mean loss of answers with that score; a primary score is linear in it."""
    of_zero, of_one = (task.score(np.array([loss])).value for loss in (0.0, 1.0))
    return (score - of_zero) / (of_one - of_zero)


def _binomial_test(losses: Losses, bound: float) -> tuple[float, float]:
    """The largest mean that is not significant, and the p-value."""
    wrong, rows = round(losses.sum()), len(losses)
    largest_passing = float(binom.ppf(1 - SUSPICIOUS * FEEDBACK, rows, bound)) / rows
    return largest_passing, float(binom.sf(wrong - 1, rows, bound))


def _t_test(losses: Losses, bound: float) -> tuple[float, float]:
    """The same; `scipy.stats.ttest_1samp` has no threshold, and no p-value where all losses are equal."""
    mean, standard_error, freedom = losses.mean(), losses.std(ddof=1) / len(losses) ** 0.5, len(losses) - 1
    if standard_error == 0:
        return bound, float(mean <= bound)
    largest_passing = bound + standard_error * t.ppf(1 - SUSPICIOUS * FEEDBACK, freedom)
    return float(largest_passing), float(t.sf((mean - bound) / standard_error, freedom))
