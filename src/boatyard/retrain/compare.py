"""Whether one model is better than another on the same rows, by more than chance."""

from collections.abc import Sequence

from boatyard.tasks.protocol import OpenTask
from boatyard.tasks.score import Comparison, Losses, paired_interval


def compare(name: str, task: OpenTask, before: Losses, after: Losses, confidence: float = 0.95) -> Comparison:
    """Of the losses of two models on the same rows, which are called `name`.

    Raises ValueError when they are not of the same rows.
    """
    low, high = paired_interval(before, after, confidence)
    return Comparison(name, before.size, task.score(before), task.score(after), low, high)


def refusal(comparisons: Sequence[Comparison]) -> str | None:
    """Why the newer model should not be promoted: it must be better on some rows, and worse on none."""
    for one in comparisons:
        if one.worse:
            return f"on {one.name} it is worse, by more than chance"
    if not any(one.better for one in comparisons):
        return f"on {' and on '.join(one.name for one in comparisons)} it is not better by more than chance"
    return None
