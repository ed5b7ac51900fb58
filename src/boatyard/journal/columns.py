"""The numbers and categories that the journal records for each answered row, for drift, metrics and pages."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Column:
    """A number or a category that each row has.

    `phrase`: what it is, in the middle of a sentence. `group`: `prediction`, `confidence` or `input`, under which a
    drift report lists it. `weight`: its relative share of the false alarms allowed per look. `buckets`: upper bounds
    of its histogram in /metrics, in ascending order; a number without them has none there.
    """

    name: str
    phrase: str
    category: bool = False
    group: str = "input"
    weight: float = 1.0
    buckets: Sequence[float] = ()
