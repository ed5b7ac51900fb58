"""The configuration keys of tables."""

from collections.abc import Mapping

from pydantic import Field

from boatyard.config.schema import Model, Section
from boatyard.inputs.table.cells import MISSING, Kind


class TableData(Section):
    """Which columns are read, and as what."""

    columns: dict[str, Kind] = Field({})
    """What a column is, where its cells do not say so; the others are found."""
    drop: list[str] = Field([])
    """Columns that are not read."""
    missing: list[str] = Field(list(MISSING))
    """Words that stand for a missing value, in any case."""


class Network(Section):
    """The shape of TabM: its members share `layers` of `width`, and read each column through an embedding."""

    members: int = Field(8, ge=1)
    layers: int = Field(3, ge=1)
    width: int = Field(128, ge=1)
    embedding_width: int = Field(12, ge=1)
    bins: int = Field(64, ge=1)
    """Of each number column at most; its embedding bends from one to the next."""


SECTIONS: Mapping[str, type[Section]] = {"data": TableData, "model.table": Network}


def table_model(model: Model) -> Network:
    """The section `model.table`, which a configuration for tables has."""
    section: Network = model.table  # type: ignore[attr-defined]
    return section
