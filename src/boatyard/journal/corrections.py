"""Which feedback counts where several people judge one answer: the same in retraining and in the monitor."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def which_count(
    ids: NDArray[Any] | Sequence[str], times: NDArray[Any] | Sequence[float], labels: Sequence[str]
) -> NDArray[np.intp]:
    """The positions of what counts, ordered by id: of each answer's corrections the latest.

    `times`: in seconds. At equal times the label that sorts last counts, so the order of reading does not matter.
    """
    names = {label: rank for rank, label in enumerate(sorted(set(labels)))}
    ranks = np.fromiter((names[label] for label in labels), np.int64, len(labels))
    answers = np.asarray(ids)
    order = np.lexsort((ranks, np.asarray(times, float), answers))
    answers = answers[order]
    return order[np.append(answers[1:] != answers[:-1], True)] if len(order) else order
