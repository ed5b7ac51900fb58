"""Figures of the traffic, for people who look on."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from boatyard.monitor.quality import is_right, live_quality
from boatyard.monitor.traffic import Traffic

_HOUR = 3600


def figures(traffic: Traffic, since: float, accepted: float | None, known: Iterable[str]) -> dict[str, Any]:
    """What `GET /statistics` answers: of each hour from `since` on, and of all of them together.

    `known`: the model's labels.
    """
    rows = traffic.predictions
    rows = rows[rows["time"] >= since]
    hours = (rows["time"] // _HOUR).astype(int)
    first, last = (int(hours.min()), int(hours.max())) if len(rows) else (0, -1)
    width = last - first + 1
    labels = {}
    for number in np.unique(rows["label"]):
        counts = np.bincount(hours[rows["label"] == number] - first, minlength=width)
        labels[traffic.labels.all[number]] = counts.tolist()
    right, unknown = is_right(rows, traffic.feedback, traffic.labels, known)
    return {
        "model": traffic.model,
        "rows": len(rows),
        "hours": [_told(hour * _HOUR) for hour in range(first, last + 1)],
        "counts": np.bincount(hours - first, minlength=max(width, 0)).tolist() if len(rows) else [],
        "labels": labels,
        "versions": {
            traffic.versions.all[number]: int(count)
            for number, count in zip(*np.unique(rows["version"], return_counts=True), strict=True)
        },
        "latency_ms": _percentiles(rows["duration_ms"], (50, 95, 99)),
        "length": _percentiles(rows["length"], (5, 50, 95, 99)),
        "score": _percentiles(rows["score"], (5, 25, 50, 75, 95)),
        "quality": live_quality(right, accepted, unknown).model_dump(),
    }


def _percentiles(values: NDArray[Any], which: Sequence[int]) -> dict[str, float | None]:
    there = values[~np.isnan(values)] if values.dtype.kind == "f" else values
    found = np.percentile(there, which).tolist() if len(there) else [None] * len(which)
    return {f"p{share}": value for share, value in zip(which, found, strict=True)}


def _told(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
