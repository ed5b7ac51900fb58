"""The configuration keys of tables."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field, model_validator

from boatyard.config.schema import Model, Section
from boatyard.inputs.table.cells import MISSING, Kind


class TableData(Section):
    """Which columns are read, and as what."""

    columns: dict[str, Kind] = Field(default={})
    """What a column is, where its cells do not say so; the others are found."""
    drop: list[str] = Field(default=[])
    """Columns that are not read."""
    missing: list[str] = Field(default=list(MISSING))
    """Words that stand for a missing value, in any case."""


class Network(Section):
    """The shape of TabM: its members share `layers` of `width`, and read each column through an embedding."""

    members: int = Field(default=8, ge=1)
    layers: int = Field(default=2, ge=1)
    width: int = Field(default=128, ge=1)
    embedding_width: int = Field(default=12, ge=1)
    bins: int = Field(default=48, ge=1)
    """Of each number column at most; its embedding bends from one to the next."""


class Boosting(Section):
    """scikit-learn's HistGradientBoosting, by its own names: trees are added while the validation loss falls."""

    max_iter: int = Field(default=1_000, ge=1)
    learning_rate: float = Field(default=0.05, gt=0)
    max_leaf_nodes: int = Field(default=8, ge=2)
    min_samples_leaf: int = Field(default=10, ge=1)
    max_features: float = Field(default=0.3, gt=0, le=1)
    l2_regularization: float = Field(default=0.0, ge=0)
    n_iter_no_change: int = Field(default=20, ge=1)


class TableModel(Section):
    """What learns from a table: one of the two, and a network if neither is given."""

    network: Network | None = None
    boosting: Boosting | None = None

    @model_validator(mode="before")
    @classmethod
    def _is_one(cls, given: Any) -> Any:
        if isinstance(given, dict):
            chosen = [name for name in cls.model_fields if given.get(name) is not None]
            if len(chosen) > 1:
                raise ValueError("is either a network or boosting, not both")
            return given if chosen else {**given, "network": {}}
        return given


SECTIONS: Mapping[str, type[Section]] = {"data": TableData, "model.table": TableModel}


def table_model(model: Model) -> TableModel:
    """The section `model.table`, which a configuration for tables has."""
    section: TableModel = model.table  # type: ignore[attr-defined]
    return section
