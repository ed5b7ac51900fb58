"""The configuration keys of detection."""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from boatyard.config.schema import Model, Section


class DetectionData(Section):
    """Which labels there are, and how many boxes make one learnable."""

    classes: list[str] = Field(default=[])
    """Where given, no box may have another label."""
    min_boxes_per_class: int = Field(default=5, ge=1)
    """In the training split."""


class DetectionModel(Section):
    """What the network says of places."""

    places: Literal["maps", "queries"] = Field(default="maps")
    """A map that covers the row, or a number of queries, as the detectors of the Hub have."""


class DetectionExport(Section):
    """How far int8 may be from fp32 on validation and still be served."""

    max_map50_loss: float = Field(default=0.005, ge=0, le=1)


VALIDATION: Mapping[str, bool] = {"map50": True}
"""What is measured while training goes on, the primary first, and whether higher is better."""
SECTIONS: Mapping[str, type[Section]] = {
    "data": DetectionData,
    "model.detection": DetectionModel,
    "export": DetectionExport,
}


def detection_model(model: Model) -> DetectionModel:
    """The section `model.detection`."""
    section: DetectionModel = model.detection  # type: ignore[attr-defined]
    return section
