"""How well probabilities rank rows: each label against the rest, at every threshold at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score, roc_curve

from boatyard.evaluate.markdown import table
from boatyard.tasks.protocol import Section

CURVES = "curves.png"
MOST_LABELS = 10  # with more, whoever wants one label looks at its precision and recall


Curve = tuple[NDArray[np.float64], NDArray[np.float64]]
"""x and y."""


@dataclass(frozen=True)
class Ranked:
    """One label. `auroc`: the area under the ROC curve; `average_precision`: that under precision over recall."""

    label: str
    rows: int
    auroc: float
    average_precision: float
    roc: Curve
    """The share of other rows above each threshold, and that of the label's."""
    recall_precision: Curve

    @property
    def areas(self) -> dict[str, Any]:
        """As metrics.json has it."""
        return {
            "label": self.label,
            "rows": self.rows,
            "auroc": self.auroc,
            "average_precision": self.average_precision,
        }


def ranking(
    targets: NDArray[np.integer[Any]], probabilities: NDArray[np.floating[Any]], labels: Sequence[str]
) -> list[Ranked]:
    """Of few labels, those that some rows have and others do not."""
    if len(labels) > MOST_LABELS:
        return []
    ranked = []
    for number, label in enumerate(labels):
        has = targets == number
        if has.any() and not has.all():
            chances = probabilities[:, number]
            precision, recall, _ = precision_recall_curve(has, chances)
            ranked.append(
                Ranked(
                    label,
                    int(has.sum()),
                    auroc=float(roc_auc_score(has, chances)),
                    average_precision=float(average_precision_score(has, chances)),
                    roc=roc_curve(has, chances)[:2],
                    recall_precision=(recall, precision),
                )
            )
    return ranked


def ranking_section(ranked: Sequence[Ranked]) -> Section:
    """As a table, worst first."""
    worst_first = sorted(ranked, key=lambda each: each.auroc)
    rows = [
        (each.label, f"{each.auroc:.4f}", f"{each.average_precision:.4f}", f"{each.rows:,}") for each in worst_first
    ]
    said = (
        "AUROC: how often a row of the label has a higher probability of it than a row of another. Average precision: "
        "the precision at each threshold, averaged over recall; without a model, the label's share of rows."
    )
    columns = ("Label", "AUROC", "Average precision", "Rows")
    drawn = f"![The ROC curve of each label, and its precision over recall]({CURVES})"
    return Section("Each label against the rest", [said, table(columns, rows, align="lrrr"), drawn])
