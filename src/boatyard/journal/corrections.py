"""Which feedback counts where several people judge one answer: the same in retraining and in the monitor."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def which_count(
    ids: NDArray[Any] | Sequence[str], times: NDArray[Any] | Sequence[float], truths: Sequence[str]
) -> NDArray[np.intp]:
    """The positions of what counts, ordered by id: of each answer's corrections the latest.

    `times`: in seconds. `truths`: each `canonical`; at equal times the one that sorts last counts, so the order of
    reading does not matter.
    """
    by_truth = {truth: rank for rank, truth in enumerate(sorted(set(truths)))}
    ranks = np.fromiter((by_truth[truth] for truth in truths), np.int64, len(truths))
    answers = np.asarray(ids)
    order = np.lexsort((ranks, np.asarray(times, float), answers))
    answers = answers[order]
    return order[np.append(answers[1:] != answers[:-1], True)] if len(order) else order


def canonical(truth: Mapping[str, Any]) -> str:
    """One spelling in JSON of what is equal."""
    return json.dumps(dict(truth), sort_keys=True, ensure_ascii=False)
