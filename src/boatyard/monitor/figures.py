"""Figures of the traffic: counts by hour, percentiles, live quality."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from boatyard.monitor.quality import live_losses, live_quality
from boatyard.monitor.traffic import MISSING_CATEGORY, Traffic
from boatyard.tasks.protocol import OpenTask
from boatyard.tasks.score import Score

_HOUR = 3600
_PERCENTILES = (5, 25, 50, 75, 95, 99)
_PERCENTILES_OF_AN_HOUR = (5, 25, 50, 75, 95)


def figures(traffic: Traffic, since: float, task: OpenTask, accepted: Score | None) -> dict[str, Any]:
    """The response to `GET /statistics`: figures for each hour since `since`, and overall."""
    rows = traffic.predictions
    rows = rows[rows["time"] >= since]
    hours = (rows["time"] // _HOUR).astype(int)
    first, last = (int(hours.min()), int(hours.max())) if len(rows) else (0, -1)
    categories = [column.name for column in traffic.columns if column.category]
    numbers = [column.name for column in traffic.columns if not column.category]
    losses, unknown = live_losses(traffic, rows, task)
    return {
        "model": traffic.model,
        "rows": len(rows),
        "hours": [_as_time(hour * _HOUR) for hour in range(first, last + 1)],
        "counts": _by_hour(hours, first, last),
        "categories": {name: _by_category(traffic, rows["columns"][name], hours, first, last) for name in categories},
        "numbers": {name: _percentiles(rows["columns"][name], _PERCENTILES) for name in numbers},
        "numbers_by_hour": {name: _percentiles_by_hour(rows["columns"][name], hours, first, last) for name in numbers},
        "truncated": int(rows["truncated"].sum()),
        "versions": {
            traffic.versions.all[number]: int(count)
            for number, count in zip(*np.unique(rows["version"], return_counts=True), strict=True)
        },
        "latency_ms": _percentiles(rows["duration_ms"], (50, 95, 99)),
        "quality": live_quality(losses, task, accepted, unknown).model_dump(mode="json"),
    }


def _by_hour(hours: NDArray[np.int64], first: int, last: int) -> list[int]:
    counts: list[int] = np.bincount(hours - first, minlength=last - first + 1).tolist()
    return counts


def _by_category(
    traffic: Traffic, numbers: NDArray[np.int32], hours: NDArray[np.int64], first: int, last: int
) -> dict[str, list[int]]:
    counts = {
        traffic.categories.all[number]: _by_hour(hours[numbers == number], first, last) for number in np.unique(numbers)
    }
    counts.pop(MISSING_CATEGORY, None)
    return counts


def _percentiles(values: NDArray[np.floating], which: Sequence[int]) -> dict[str, float | None]:
    present = values[~np.isnan(values)]
    percentiles = np.percentile(present, which).tolist() if len(present) else [None] * len(which)
    return {f"p{share}": value for share, value in zip(which, percentiles, strict=True)}


def _percentiles_by_hour(
    values: NDArray[np.floating], hours: NDArray[np.int64], first: int, last: int
) -> dict[str, list[float | None]]:
    by_hour = [_percentiles(values[hours == hour], _PERCENTILES_OF_AN_HOUR) for hour in range(first, last + 1)]
    return {share: [each[share] for each in by_hour] for share in _percentiles(values[:0], _PERCENTILES_OF_AN_HOUR)}


def _as_time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
