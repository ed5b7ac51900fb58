"""The configuration keys of detection."""

from collections.abc import Mapping

from pydantic import Field

from boatyard.config.schema import Section


class DetectionData(Section):
    """Which labels there are, and how many boxes make one learnable."""

    classes: list[str] = Field(default=[])
    """Where given, no box may have another label."""
    min_boxes_per_class: int = Field(default=5, ge=1)
    """In the training split."""


VALIDATION: Mapping[str, bool] = {"map50": True}
"""What is measured while training goes on, the primary first, and whether higher is better."""
SECTIONS: Mapping[str, type[Section]] = {"data": DetectionData}
