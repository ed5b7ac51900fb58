"""What many tasks answer alike: their `training` says `from boatyard.tasks.defaults import *`, then what differs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from boatyard.inputs.protocol import Problem
from boatyard.tasks.protocol import Outputs, Parity, Section, ShownRows, Target, Truth
from boatyard.tasks.score import Losses, Scores, mean_score, paired_interval

if TYPE_CHECKING:
    from torch import Tensor

    from boatyard.config.schema import Config, Data
    from boatyard.data.summary import DataSummary
    from boatyard.data.validate import Findings, Ledger

__all__ = [
    "DOCUMENTS",
    "SMOOTHED",
    "card_parts",
    "cell",
    "data_facts",
    "data_section",
    "fit_after",
    "refusal",
    "report",
    "sample",
    "target_columns",
    "tensor",
]

DOCUMENTS: Sequence[str] = ()
SMOOTHED = False


def target_columns(data: Data) -> list[str]:
    """`data.target`."""
    return [target_column(data)]


def refusal(target: Target) -> str | None:  # noqa: ARG001 - every task's signature
    """None: whatever the targets, something can be learnt."""
    return None


def data_section(summary: DataSummary, folder: Path) -> list[Section]:  # noqa: ARG001 - every task's signature
    """Nothing besides the general part."""
    return []


def data_facts(summary: DataSummary) -> dict[str, Any]:  # noqa: ARG001 - every task's signature
    """Nothing besides the general part."""
    return {}


def tensor(targets: Sequence[Any]) -> Tensor:
    """float32[batch]."""
    import torch

    return torch.as_tensor(targets, dtype=torch.float32)


def cell(truth: Truth) -> Any:
    """The value of its first field."""
    return next(iter(truth.values()))


def fit_after(outputs: Outputs, targets: NDArray[Any]) -> Target:  # noqa: ARG001 - every task's signature
    """Nothing: the network's outputs are answered as they are."""
    return {}


def report(
    scores: Scores,  # noqa: ARG001 - every task's signature
    outputs: Outputs,  # noqa: ARG001
    targets: NDArray[Any],  # noqa: ARG001
    target: Target,  # noqa: ARG001
    rows: ShownRows,  # noqa: ARG001
    config: Config,  # noqa: ARG001
    folder: Path,  # noqa: ARG001
) -> list[Section]:
    """Nothing below the headline."""
    return []


def card_parts(target: Target) -> list[Section]:  # noqa: ARG001 - every task's signature
    """Nothing besides the general part."""
    return []


def sample(targets: NDArray[Any], random: np.random.Generator, size: int) -> NDArray[np.int64]:
    """Each row as likely as another."""
    return np.sort(random.permutation(len(targets))[:size])


# ---- to be called


def target_column(data: Data) -> str:
    """`data.target`. Raises UserError where it is not given."""
    raise NotImplementedError


def parity_of_means(name: str, exact: Losses, served: Losses) -> Parity:
    """By the mean of the losses, which is called `name`: refused where it grew by more than chance."""
    before, after = mean_score(name, exact), mean_score(name, served)
    worse = paired_interval(exact, served)[1] < 0
    sentence = f"{after.title} {after.shown} as quantised, {before.shown} before"
    return Parity({"exact": before.value, "quantised": after.value}, sentence, sentence if worse else None)


@dataclass(frozen=True)
class Fitted:
    """An Estimator."""

    name: str
    description: str
    outputs: Callable[[Sequence[Any]], Outputs]


class PlainHead:
    """What a Head needs not say of itself where it has one raw output, and nothing but its width to keep."""

    def divergence(self, first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> Tensor:
        """The mean squared difference."""
        (before,), (after,) = first.values(), second.values()
        return (before - after).square().mean()

    def start_at(self, features: Tensor, targets: Tensor) -> None:
        """At random weights, whatever the rows."""

    def shape(self) -> dict[str, Any]:
        """Nothing."""
        return {}


class Values:
    """Targets that are one number each, in one column; `read` is left to each task."""

    values: NDArray[Any]

    def __init__(self, data: Data) -> None:
        self.column = target_column(data)
        self._values: list[Any] = []

    def read(self, cells: Mapping[str, Any]) -> Any | Problem:
        """The target in a source's cells, or what is wrong with it."""
        raise NotImplementedError

    def append(self, target: Any) -> None:
        """Keep it for the row that is next."""
        self._values.append(target)

    def close(self) -> None:
        """There are no more."""
        self.values = np.asarray(self._values)

    def knows(self, cells: Mapping[str, Any]) -> bool:
        """Whether they can be read."""
        return not isinstance(self.read(cells), Problem)

    def shown(self, index: int) -> str:
        """As JSON."""
        return str(self.values[index])

    def cell(self, index: int) -> Any:
        """The number."""
        return self.values[index].item()

    def check(self, ledger: Ledger, findings: Findings, usable: NDArray[np.bool_]) -> dict[int, str]:  # noqa: ARG002
        """Each is right by itself."""
        return {}

    def essential(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """None."""
        return rows[:0]

    def facts(self, usable: NDArray[np.bool_]) -> Target:  # noqa: ARG002 - every task's signature
        """None."""
        return {}

    def stored(self, target: Target) -> pa.Array:  # noqa: ARG002 - every task's signature
        """The numbers."""
        return pa.array(self.values)

    def group(self, index: int) -> str:  # noqa: ARG002 - every task's signature
        """All under one heading."""
        return "all"
