"""Which feedback counts if one answer has several: one rule for all who read it."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def latest_feedback(
    ids: NDArray[Any] | Sequence[str], times: NDArray[Any] | Sequence[float], truths: Sequence[str]
) -> NDArray[np.intp]:
    """The positions of each answer's latest feedback, ordered by id.

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
    """Equal truths as equal JSON."""
    return json.dumps(dict(truth), sort_keys=True, ensure_ascii=False)
