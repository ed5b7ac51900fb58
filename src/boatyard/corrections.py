"""Which feedback counts where several people judge one answer: the same in retraining and in the monitor."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def which_count(
    ids: NDArray[Any] | Sequence[str], times: NDArray[Any] | Sequence[float], labels: Sequence[str]
) -> NDArray[np.intp]:
    """Positions of the feedback that counts, one for each id, ordered by id: of an answer's corrections the latest.

    `times`: in seconds. Of one moment the label that sorts last counts, so that the order of reading has no say.
    """
    names = {label: rank for rank, label in enumerate(sorted(set(labels)))}
    ranks = np.fromiter((names[label] for label in labels), np.int64, len(labels))
    told = np.asarray(ids)
    order = np.lexsort((ranks, np.asarray(times, float), told))
    told = told[order]
    return order[np.append(told[1:] != told[:-1], True)] if len(order) else order
