"""How a column's values are spread in the reference and in the window, for a page to draw side by side."""

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from boatyard.monitor.results import Spread

_BINS = 20
_MOST_CATEGORIES = 12
_OUTER = (0.5, 99.5)  # percentiles of both together: beyond them, one outlier would squeeze all others into a bin
_DIGITS = 6


def spread(reference: NDArray[Any], window: NDArray[Any]) -> Spread:
    """Numbers by bins that both share, one for each value where these are few; or categories, which are strings."""
    return (_of_categories if reference.dtype.kind == "U" else _of_numbers)(reference, window)


def _of_numbers(reference: NDArray[np.floating], window: NDArray[np.floating]) -> Spread:
    both = np.concatenate([reference, window])
    edges = _edges(both[np.isfinite(both)])
    return Spread(edges=edges.tolist(), reference=_in_bins(reference, edges), window=_in_bins(window, edges))


def _of_categories(reference: NDArray[np.str_], window: NDArray[np.str_]) -> Spread:
    """In the order of their shares of the reference."""
    before, now = (
        {category: count / len(values) for category, count in Counter(values.tolist()).items()}
        for values in (reference, window)
    )
    largest = sorted(before | now, key=lambda category: -max(before.get(category, 0), now.get(category, 0)))
    shown = sorted(largest[:_MOST_CATEGORIES], key=lambda category: -before.get(category, 0))
    shares = ([round(each.get(category, 0.0), _DIGITS) for category in shown] for each in (before, now))
    return Spread(categories=shown, reference=next(shares), window=next(shares))


def _edges(numbers: NDArray[np.floating]) -> NDArray[np.floating]:
    distinct = np.unique(numbers)
    if len(distinct) > _BINS:
        low, high = np.percentile(numbers, _OUTER)
        if low < high:
            return np.linspace(low, high, _BINS + 1)
        distinct = distinct[[0, -1]]
    if len(distinct) < 2:
        return np.append(distinct - 0.5, distinct + 0.5)
    between = (distinct[1:] + distinct[:-1]) / 2
    return np.concatenate([[2 * distinct[0] - between[0]], between, [2 * distinct[-1] - between[-1]]])


def _in_bins(numbers: NDArray[np.floating], edges: NDArray[np.floating]) -> list[float]:
    """The share of the rows in each; the outer ones have what lies beyond them as well."""
    inside = numbers[np.isfinite(numbers)]
    if not len(inside):
        return [0.0] * (len(edges) - 1)
    counts, _ = np.histogram(np.clip(inside, edges[0], edges[-1]), edges)
    return [round(share, _DIGITS) for share in (counts / len(numbers)).tolist()]
