"""The configuration keys of regression."""

from collections.abc import Mapping

from pydantic import Field

from boatyard.config.schema import Section


class RegressionData(Section):
    """What the numbers are."""

    unit: str | None = None
    """Shown behind each answer, such as EUR."""


class RegressionExport(Section):
    """How far int8 may be from fp32 on validation and still be served."""

    max_error_growth: float = Field(0.01, ge=0)
    """As a share of fp32's mean absolute error."""


VALIDATION: Mapping[str, bool] = {"mean_absolute_error": False, "root_mean_squared_error": False}
"""What is measured while training goes on, the primary first, and whether higher is better."""
SECTIONS: Mapping[str, type[Section]] = {"data": RegressionData, "export": RegressionExport}
