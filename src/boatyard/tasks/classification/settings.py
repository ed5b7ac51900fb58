"""The configuration keys of classification."""

from collections.abc import Mapping
from typing import Self

from pydantic import Field, model_validator

from boatyard.config.schema import Section


class ClassificationData(Section):
    """Which labels can be learnt."""

    min_rows_per_label: int = Field(5, ge=1)
    """In the training split."""


class ClassificationEvaluate(Section):
    """What the report counts as nearly right, and from which probability on one label is answered."""

    top_k: int = Field(3, ge=1)
    """How often the truth is among that many labels."""
    positive: str | None = None
    """The label that is told from the rest; unless given, of two labels the rarer one."""
    precision: float | None = Field(None, gt=0, le=1)
    """The share of the rows answered with `positive` that must be right on validation; as many as possible are."""
    recall: float | None = Field(None, gt=0, le=1)
    """Or the share of its rows that must be answered with it; as few others as possible are."""

    @model_validator(mode="after")
    def _one_threshold(self) -> Self:
        if self.precision is not None and self.recall is not None:
            raise ValueError("give precision or recall: one threshold cannot keep both")
        return self


class ClassificationExport(Section):
    """How far int8 may be from fp32 on validation and still be served."""

    max_accuracy_loss: float = Field(0.005, ge=0, le=1)
    min_agreement: float = Field(0.98, ge=0, le=1)
    """The share of rows that must keep their label."""


VALIDATION: Mapping[str, bool] = {"accuracy": True, "macro_f1": True}
"""What is measured while training goes on, the primary first, and whether higher is better."""
SECTIONS: Mapping[str, type[Section]] = {
    "data": ClassificationData,
    "evaluate": ClassificationEvaluate,
    "export": ClassificationExport,
}
FORMER_KEYS: Mapping[str, str] = {"data.label_column": "data.target"}
MOVED_KEYS: Mapping[str, str] = {"staging.max_accuracy_loss": "staging.max_score_loss"}
