"""How well probabilities rank rows: each label against the rest, at every threshold at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from boatyard.evaluate.markdown import table
from boatyard.tasks.protocol import Section

MOST_LABELS = 10  # with more, whoever wants one label looks at its precision and recall


@dataclass(frozen=True)
class Ranked:
    """One label. `auroc`: the area under the ROC curve; `average_precision`: that under precision over recall."""

    label: str
    rows: int
    auroc: float
    average_precision: float


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
            areas = (float(measure(has, chances)) for measure in (roc_auc_score, average_precision_score))
            ranked.append(Ranked(label, int(has.sum()), *areas))
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
    return Section("Each label against the rest", [said, table(columns, rows, align="lrrr")])
