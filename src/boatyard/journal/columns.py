"""What the journal keeps of each answered row in numbers and categories: drift, metrics and pages go by these."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Column:
    """A number or a category that each row has.

    `phrase`: what it is, in the middle of a sentence. `group`: `prediction`, `confidence` or `input`, under which a
    drift report lists it. `weight`: its share of the false alarms that a look allows. `buckets`: upper bounds of its
    histogram in /metrics, in ascending order; a number without them has none there.
    """

    name: str
    phrase: str
    category: bool = False
    group: str = "input"
    weight: float = 1.0
    buckets: Sequence[float] = ()
