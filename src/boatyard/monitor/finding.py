"""What a comparison of one column has found, as a clause of the verdict's sentence."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from boatyard.journal.columns import Column


def finding(column: Column, reference: NDArray[Any], window: NDArray[Any]) -> str:
    """A number's means, or the category that has become more frequent."""
    subject = column.phrase[0].upper() + column.phrase[1:]
    if column.category:
        category, before, now = _most_grown(reference.tolist(), window.tolist())
        if column.group == "prediction":
            return (
                f"{category or 'A missing answer'} makes up {now:.1%} of answers, against {before:.1%} in the reference"
            )
        return f"{subject} is {category or 'missing'} in {now:.1%} of cases, against {before:.1%} in the reference"
    means = f"{subject} is {_mean(window)} on average, against {_mean(reference)} in the reference"
    before, now = (float(np.isnan(values).mean()) for values in (reference, window))
    return f"{means}, and missing in {now:.1%} of cases, against {before:.1%}" if before or now else means


def _most_grown(reference: Sequence[str], window: Sequence[str]) -> tuple[str, float, float]:
    """The category whose share grew most by the standard of its frequency; its share before, and now."""
    counts, counts_before = Counter(window), Counter(reference)
    shares = {value: (counts_before[value] / len(reference), counts[value] / len(window)) for value in counts}
    grown = max(shares, key=lambda value: (shares[value][1] - shares[value][0]) / (shares[value][0] + 0.01) ** 0.5)
    return grown, *shares[grown]


def _mean(values: NDArray[np.floating]) -> str:
    numbers = values[np.isfinite(values)]
    if not len(numbers):
        return "no number"
    mean = numbers.mean()
    return f"{mean:,.0f}" if abs(mean) >= 1000 else f"{mean:.3g}"
