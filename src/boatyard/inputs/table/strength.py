"""How much each column tells of the target by itself: what a person should look at before trusting any model."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.compose import make_column_transformer
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from boatyard.inputs.table.cells import Kind, day_of

MOST_ROWS = 10_000
"""Are looked at."""
_FEWEST_ROWS = 50  # below them chance tells as much
_MOST_CLASSES = 50  # whole numbers of more values are numbers
_LEAST_ROWS = 5  # of a tree's leaf
_FOLDS = KFold(2, shuffle=True, random_state=0)
_GIVES_AWAY_NUMBERS, _GIVES_AWAY_CLASSES = 0.98, 0.95
_LEFT_OF_A_SUM = 1e-4  # of the target's variance, at most
_MOST_ADDENDS = 3


def are_classes(targets: NDArray[Any]) -> bool:
    """Whether targets are one of a few things, rather than numbers."""
    return targets.dtype.kind != "f" and len(np.unique(targets)) <= _MOST_CLASSES


def strengths(
    columns: Mapping[str, Sequence[Any]], kinds: Mapping[str, Kind], targets: NDArray[Any]
) -> dict[str, float]:
    """By column, what a tree that sees no other tells of rows that it was not fitted on.

    Of numbers R2, or the squared correlation where that is more; of classes the accuracy, from 0 for that of always
    saying the most frequent to 1. Never below 0. Empty where there are too few rows.
    """
    if len(targets) < _FEWEST_ROWS:
        return {}
    return {name: max(0.0, _strength(columns[name], kind, targets)) for name, kind in kinds.items()}


def giving_away(told: Mapping[str, float], targets: NDArray[Any]) -> list[str]:
    """The columns that tell so much that they seem to be made of the target."""
    limit = _GIVES_AWAY_CLASSES if are_classes(targets) else _GIVES_AWAY_NUMBERS
    return [name for name, strength in told.items() if strength > limit]


def addends(columns: Mapping[str, Sequence[Any]], kinds: Mapping[str, Kind], targets: NDArray[Any]) -> list[str]:
    """Two number columns or three that the target is a weighted sum of; none where no such are found.

    Each is the one that goes best with what the others leave (orthogonal matching pursuit).
    """
    if are_classes(targets) or len(targets) < _FEWEST_ROWS:
        return []
    named = [name for name, kind in kinds.items() if kind == "number"]
    numbers = {name: np.nan_to_num(_centred(as_numbers(columns[name], "number"))) for name in named}
    wanted = left = _centred(targets.astype(np.float64))
    chosen: list[str] = []
    for _ in range(min(_MOST_ADDENDS, len(numbers))):
        with_left = {name: abs(correlation(numbers[name], left, 2)) for name in numbers if name not in chosen}
        chosen.append(max(with_left, key=with_left.__getitem__))
        matrix = np.stack([numbers[name] for name in chosen], axis=1)
        left = wanted - matrix @ np.linalg.lstsq(matrix, wanted)[0]
        if np.var(left) <= _LEFT_OF_A_SUM * np.var(wanted):
            return chosen if len(chosen) > 1 else []
    return []


def _centred(values: NDArray[np.float64]) -> NDArray[np.float64]:
    there = values[~np.isnan(values)]
    return values - (there.mean() if len(there) else 0.0)


def as_numbers(values: Sequence[Any], kind: Kind) -> NDArray[np.float64]:
    """A date as a count of days; NaN what is missing. Of categories nothing."""
    if kind == "date":
        return np.array([np.nan if value is None else day_of(value).toordinal() for value in values], np.float64)
    return np.array(values, np.float64)


def correlation(first: NDArray[np.float64], second: NDArray[Any], fewest_rows: int) -> float:
    """Pearson's, of the rows that have both; 0 where they are too few, or one of the two never varies."""
    there = ~np.isnan(first) & ~np.isnan(second)
    if there.sum() < fewest_rows or np.ptp(first[there]) == 0 or np.ptp(second[there]) == 0:
        return 0.0
    return float(np.corrcoef(first[there], second[there])[0, 1])


def _strength(values: Sequence[Any], kind: Kind, targets: NDArray[Any]) -> float:
    if kind == "category":
        column = np.array([value or "" for value in values], object)[:, None]
        encoder = make_column_transformer((OneHotEncoder(min_frequency=_LEAST_ROWS, handle_unknown="ignore"), [0]))
    else:
        column, encoder = as_numbers(values, kind)[:, None], "passthrough"
    if are_classes(targets):
        tree = make_pipeline(encoder, DecisionTreeClassifier(min_samples_leaf=_LEAST_ROWS, random_state=0))
        told = float(np.mean(cross_val_predict(tree, column, targets, cv=_FOLDS) == targets))
        most_frequent = np.unique(targets, return_counts=True)[1].max() / len(targets)
        return (told - most_frequent) / (1 - most_frequent) if most_frequent < 1 else 0.0
    tree = make_pipeline(encoder, DecisionTreeRegressor(min_samples_leaf=_LEAST_ROWS, random_state=0))
    wrong = targets - cross_val_predict(tree, column, targets, cv=_FOLDS)
    spread = float(np.var(targets))
    told = 1 - float(np.mean(wrong**2)) / spread if spread > 0 else 0.0
    return told if kind == "category" else max(told, correlation(column[:, 0], targets, _FEWEST_ROWS) ** 2)
