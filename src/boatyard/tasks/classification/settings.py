"""The configuration keys of classification."""

from collections.abc import Mapping

from pydantic import Field

from boatyard.config.schema import Section


class ClassificationData(Section):
    """Which labels can be learnt."""

    min_rows_per_label: int = Field(5, ge=1)
    """In the training split."""


class ClassificationEvaluate(Section):
    """What the report counts as nearly right."""

    top_k: int = Field(3, ge=1)
    """How often the truth is among that many labels."""


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
