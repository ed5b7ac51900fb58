"""What a baseline sees of a table."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from boatyard.config.schema import Data
from boatyard.inputs.table.cells import Kind
from boatyard.inputs.table.columns import CATEGORIES, NUMBERS, Columns, Row
from boatyard.inputs.table.facts import learn_columns
from boatyard.inputs.table.rows import kinds_of
from boatyard.inputs.training_protocol import Features

MOST_ROWS = 100_000
MOST_VALUES = 4_000_000


class TableFeatures:
    """Numbers standardised, the median for those that are missing, and a column for each level."""

    name = "columns"
    most_rows = MOST_ROWS
    most_cost = MOST_VALUES

    def __init__(self, kinds: Mapping[str, Kind]) -> None:
        self._kinds = kinds

    def cost(self, rows: Sequence[Row]) -> int:
        """In values."""
        return len(rows) * len(self._kinds)

    def features(self, *, rich: bool) -> tuple[Features, str]:  # noqa: ARG002 - there is one kind
        """The same, rich or not."""
        return _Matrix(self._kinds), "its columns, numbers standardised and categories one-hot"


def simple_features(data: Data) -> TableFeatures:
    """Of the columns that are read."""
    return TableFeatures(kinds_of(data))


class _Matrix:
    def __init__(self, kinds: Mapping[str, Kind]) -> None:
        self._kinds = kinds

    def fit_transform(self, rows: Sequence[Row]) -> Any:
        self._columns = learn_columns(self._kinds, (), rows)
        numbers, levels = len(self._columns.number_names), [range(size) for size in self._columns.cardinalities]
        imputed = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
        parts = [
            (NUMBERS, make_pipeline(imputed, StandardScaler()), slice(0, numbers)),
            (CATEGORIES, OneHotEncoder(categories=levels), slice(numbers, numbers + len(levels))),
        ]
        self._transformer = ColumnTransformer([part for part in parts if part[2].start < part[2].stop])
        return self._transformer.fit_transform(_array(self._columns, rows))

    def transform(self, rows: Sequence[Row]) -> Any:
        return self._transformer.transform(_array(self._columns, rows))


def _array(columns: Columns, rows: Sequence[Row]) -> Any:
    arrays = [columns.arrays(row) for row in rows]
    return np.array([np.concatenate([each[NUMBERS], each[CATEGORIES]]) for each in arrays])
