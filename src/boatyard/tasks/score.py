"""How good a model is: one number with its interval, which way is better, and whether two models differ."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Losses = NDArray[np.float64]
"""[rows]: how wrong each answer is; 0 where it is right. Less is better, whatever the task."""

_DRAWS = 10_000
_CELLS = 2**22  # drawn at once
_FEW = 64  # different values


@dataclass(frozen=True)
class Score:
    """A measure of a model on some rows. `low` and `high`: a 95% interval, where one is known.

    `title`: as people read it, by default the name in words.
    """

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    higher_is_better: bool = True
    title: str = ""

    def __post_init__(self) -> None:
        if not self.title:
            object.__setattr__(self, "title", _spelt_out(self.name))

    @property
    def heading(self) -> str:
        """The title of a row or a column of a table: with a capital, unless its first word is written in its own way.

        Such a word is mAP50.
        """
        first = self.title.partition(" ")[0]
        return self.title[:1].upper() + self.title[1:] if first.islower() else self.title

    @property
    def shown(self) -> str:
        """The value as people read it."""
        return shown(self.value)

    def with_interval(self, decimals: int = 4) -> str:
        """The value and its interval, if it has one: 0.654 (0.607 to 0.698)."""
        value = shown(self.value, decimals)
        if self.low is None or self.high is None:
            return value
        return f"{value} ({shown(self.low, decimals)} to {shown(self.high, decimals)})"

    def is_better_than(self, other: "Score") -> bool:
        """Which is strictly so; both must be of one name."""
        return self.value > other.value if self.higher_is_better else self.value < other.value

    def shortfall(self, other: "Score") -> float:
        """By how much this is worse than `other`, in the score's unit; negative where it is better."""
        return other.value - self.value if self.higher_is_better else self.value - other.value


def _spelt_out(name: str) -> str:
    """top-3; a symbol of one letter and a digit, such as F1, has a capital."""
    title = re.sub(r"\b([a-z]{2,})(\d+)\b", r"\1-\2", name.replace("_", " "))
    return re.sub(r"\b[a-z]\d\b", lambda symbol: symbol[0].upper(), title)


def mean_score(name: str, losses: Losses) -> Score:
    """The mean of the losses, with the normal approximation of its 95% interval where there are two or more."""
    mean = float(losses.mean())
    if losses.size < 2:
        return Score(name, mean, higher_is_better=False)
    margin = 1.959964 * float(losses.std(ddof=1)) / math.sqrt(losses.size)
    return Score(name, mean, max(0.0, mean - margin), mean + margin, higher_is_better=False)


def shown(value: float, decimals: int = 4) -> str:
    """So many `decimals` of a small number, fewer of a large one."""
    if abs(value) < 10:
        return f"{value:,.{decimals}f}"
    return f"{value:,.2f}" if abs(value) < 10_000 else f"{value:,.0f}"


@dataclass(frozen=True)
class Scores:
    """What a task measures of answers to `rows` rows. The first of `all` is the one that decides.

    `detail`: further figures by name, which only the task's own report and page read.
    """

    rows: int
    all: Sequence[Score]
    detail: dict[str, Any]

    @property
    def primary(self) -> Score:
        """What gates, sweeps and checkpoints go by."""
        return self.all[0]

    def by_name(self) -> dict[str, float]:
        """For trackers: `rows`, each score, and the ends of its interval as `<name>_low` and `<name>_high`."""
        numbers: dict[str, float] = {"rows": self.rows}
        for score in self.all:
            ends = {"": score.value, "_low": score.low, "_high": score.high}
            numbers |= {f"{score.name}{end}": number for end, number in ends.items() if number is not None}
        return numbers


@dataclass(frozen=True)
class Comparison:
    """Two models on `rows` rows. `low` and `high` bound the mean of what `after` loses less than `before`.

    `before` and `after`: the primary scores there.
    """

    name: str
    rows: int
    before: Score
    after: Score
    low: float
    high: float

    @property
    def better(self) -> bool:
        """By more than chance."""
        return self.low > 0

    @property
    def worse(self) -> bool:
        """By more than chance."""
        return self.high < 0


def paired_interval(before: Losses, after: Losses, confidence: float = 0.95, seed: int = 0) -> tuple[float, float]:
    """Paired bootstrap of mean(before - after) (Efron and Tibshirani 1993, percentile interval).

    Above 0: `after` loses less.

    Raises ValueError when the two are not of the same rows.
    """
    if before.shape != after.shape or not before.size:
        raise ValueError("both must answer the same rows, and there must be one")
    low, high = np.quantile(_means(before - after, seed), [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def _means(differences: Losses, seed: int) -> Losses:
    """Of samples with replacement."""
    random, rows = np.random.default_rng(seed), differences.size
    values, counts = np.unique(differences, return_counts=True)
    if len(values) <= _FEW:  # drawing rows is drawing these by their shares
        means: Losses = random.multinomial(rows, counts / rows, size=_DRAWS) @ values / rows
        return means
    at_once = max(1, _CELLS // rows)
    sizes = (min(at_once, _DRAWS - start) for start in range(0, _DRAWS, at_once))
    return np.concatenate([differences[random.integers(rows, size=(size, rows))].mean(axis=1) for size in sizes])
