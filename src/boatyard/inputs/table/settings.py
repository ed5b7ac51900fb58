"""The configuration keys of tables."""

from collections.abc import Mapping

from pydantic import Field

from boatyard.config.schema import Model, Section


class Network(Section):
    """The shape of TabM: its members share `layers` of `width`, and read each column through an embedding."""

    members: int = Field(8, ge=1)
    layers: int = Field(3, ge=1)
    width: int = Field(128, ge=1)
    embedding_width: int = Field(12, ge=1)
    bins: int = Field(64, ge=1)
    """Of each number column at most; its embedding bends from one to the next."""


SECTIONS: Mapping[str, type[Section]] = {"model.table": Network}


def table_model(model: Model) -> Network:
    """The section `model.table`, which a configuration for tables has."""
    section: Network = model.table  # type: ignore[attr-defined]
    return section
