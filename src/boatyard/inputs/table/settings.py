"""The configuration keys of tables."""

from collections.abc import Mapping

from pydantic import Field

from boatyard.config.schema import Model, Section


class Boosting(Section):
    """scikit-learn's HistGradientBoosting, by its own names: trees are added while the validation loss falls."""

    max_iter: int = Field(1_000, ge=1)
    learning_rate: float = Field(0.05, gt=0)
    max_leaf_nodes: int = Field(8, ge=2)
    min_samples_leaf: int = Field(10, ge=1)
    max_features: float = Field(0.3, gt=0, le=1)
    l2_regularization: float = Field(0.0, ge=0)
    n_iter_no_change: int = Field(20, ge=1)


class TableModel(Section):
    """What learns from a table."""

    boosting: Boosting | None = None


SECTIONS: Mapping[str, type[Section]] = {"model.table": TableModel}


def table_model(model: Model) -> TableModel:
    """The section `model.table`, which a configuration for tables has."""
    section: TableModel = model.table  # type: ignore[attr-defined]
    return section
