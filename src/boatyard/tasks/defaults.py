"""What many tasks answer alike: their `training` says `from boatyard.tasks.defaults import *`, then what differs."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from boatyard.config.errors import UserError
from boatyard.inputs.texts import normal_form
from boatyard.inputs.training_protocol import Problem
from boatyard.tasks.protocol import Outputs, Parity, Section, ShownRows, Target, Truth
from boatyard.tasks.score import Losses, Scores, mean_score, paired_interval

if TYPE_CHECKING:
    from scipy.sparse import csr_array
    from torch import Tensor

    from boatyard.config.schema import Config, Data, Model
    from boatyard.data.ledger import Findings, Ledger
    from boatyard.data.summary import DataSummary
    from boatyard.inputs.training_protocol import Learner

__all__ = [
    "BY_GROUP",
    "DOCUMENTS",
    "SMOOTHED",
    "card_parts",
    "cell",
    "data_facts",
    "data_section",
    "fit_after",
    "fit_estimates",
    "fit_files",
    "fit_linear",
    "fit_map",
    "head_shape",
    "refusal",
    "report",
    "sample",
    "target_columns",
    "tensor",
]

_FAR_APART = 0.1  # standard deviations

BY_GROUP: Sequence[str] = ()
DOCUMENTS: Sequence[str] = ()
SMOOTHED = False


def target_columns(data: Data) -> list[str]:
    """`data.target`."""
    return [target_column(data)]


def fit_linear(features: csr_array, targets: NDArray[Any], target: Target, seed: int) -> None:
    """None: the network's answers are its own."""


def fit_estimates(learner: Learner, targets: NDArray[Any], target: Target) -> list[Any]:  # noqa: ARG001
    """Raises UserError."""
    raise UserError("this task cannot be fitted at once: choose a model that is trained, step by step")


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


def head_shape(target: Target, model: Model) -> dict[str, Any]:  # noqa: ARG001 - every task's signature
    """Nothing."""
    return {}


def fit_after(outputs: Outputs, targets: NDArray[Any], target: Target, config: Config) -> Target:  # noqa: ARG001
    """Nothing: the network's outputs are answered as they are."""
    return {}


def fit_files(
    folder: Path,  # noqa: ARG001 - every task's signature
    embeddings: NDArray[Any],  # noqa: ARG001
    targets: NDArray[Any],  # noqa: ARG001
    validation: NDArray[Any],  # noqa: ARG001
    target: Target,  # noqa: ARG001
) -> Target:
    """Nothing: answers need the graph and the manifest alone."""
    return {}


def fit_map(embeddings: NDArray[Any], targets: NDArray[Any], target: Target) -> None:
    """None: there is no map."""


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


def card_parts(target: Target, scores: Scores) -> list[Section]:  # noqa: ARG001 - every task's signature
    """Nothing besides the general part."""
    return []


def sample(targets: NDArray[Any], random: np.random.Generator, size: int) -> NDArray[np.int64]:
    """Each row as likely as another."""
    return np.sort(random.permutation(len(targets))[:size])


# ---- to be used by name


def target_column(data: Data) -> str:
    """`data.target`, spelt as a source's columns are."""
    return normal_form(data.target or "")  # the configuration requires it


class MeanLoss:
    """What `training` owes on measuring, where all that counts is the mean of the rows' losses, which has a `name`."""

    def __init__(self, name: str, losses: Callable[[Outputs, NDArray[Any]], Losses]) -> None:
        self.name = name
        self.losses = losses
        self.VALIDATION: Mapping[str, bool] = {name: False}

    def score(self, outputs: Outputs, targets: NDArray[Any], target: Target, config: Config) -> Scores:  # noqa: ARG002
        """Their mean."""
        return Scores(len(targets), [mean_score(self.name, self.losses(outputs, targets))], {})

    def parity(self, exact: Outputs, served: Outputs, targets: NDArray[Any], config: Config) -> Parity:  # noqa: ARG002
        """Refused where the mean grew by more than chance."""
        losses = self.losses(exact, targets), self.losses(served, targets)
        before, after = (mean_score(self.name, each) for each in losses)
        _, high = paired_interval(*losses)
        refusal = f"int8 is refused: its {after.title} on validation is {after.shown}, and {before.shown} of fp32"
        return Parity(
            {f"fp32_{self.name}": before.value, f"int8_{self.name}": after.value},
            f"On validation the {after.title} of int8 is {after.shown} against {before.shown} of fp32.",
            refusal if high < 0 else None,
        )


@dataclass(frozen=True)
class Fitted:
    """An Estimator: a name, a description and a function."""

    name: str
    description: str
    outputs: Callable[[Sequence[Any]], Outputs]


class PlainHead:
    """What a Head with one raw output needs not define."""

    def divergence(self, first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> Tensor:
        """The mean squared difference."""
        (before,), (after,) = first.values(), second.values()
        return (before - after).square().mean()

    def start_at(self, features: Tensor, targets: Tensor) -> None:
        """At random weights."""

    def widen(self, mixing: Any, intercepts: Any, features: Tensor, targets: Tensor) -> None:
        """Nothing: the task fits no linear model."""

    def read_estimates(self) -> None:
        """Nothing: the task fits none."""


class Numbers:
    """Targets that are one number each, float64, in the column `data.target`. A task defines `read`."""

    noun = "number"
    contradictory: Literal["error", "warning"] = "warning"

    def __init__(self, data: Data) -> None:
        self.column = target_column(data)
        self._of_rows = array("d")
        self.values: NDArray[np.float64] = np.zeros(0)
        self._far_apart = 0.0

    def read(self, cells: Mapping[str, Any]) -> float | Problem:
        """The number in a source's cells, or what is wrong with it."""
        raise NotImplementedError

    def append(self, value: float) -> None:
        """Keep it."""
        self._of_rows.append(value)

    def close(self) -> None:
        """Turn the numbers into `values`."""
        self.values = np.asarray(self._of_rows)
        self._far_apart = _FAR_APART * float(self.values.std()) if len(self.values) else 0.0

    def knows(self, cells: Mapping[str, Any]) -> bool:
        """Whether the column holds a number."""
        return not isinstance(self.read(cells), Problem)

    def contradiction(self, rows: NDArray[np.int64]) -> tuple[int, int] | None:
        """Those of the least and the greatest number, where these lie far apart for equal rows."""
        if not len(rows):
            return None
        first, other = sorted((int(rows[self.values[rows].argmin()]), int(rows[self.values[rows].argmax()])))
        return (first, other) if abs(self.values[first] - self.values[other]) > self._far_apart else None

    def shown(self, index: int) -> str:
        """All its digits."""
        return f"{self.values[index]:.15g}"

    def cell(self, index: int) -> float:
        """The number."""
        return float(self.values[index])

    def group(self, index: int) -> str:  # noqa: ARG002 - every task's signature
        """All under one heading."""
        return "all"

    def check(self, ledger: Ledger, findings: Findings, usable: NDArray[np.bool_]) -> dict[int, str]:  # noqa: ARG002
        """Nothing is wrong with numbers together that is not wrong with one."""
        return {}

    def essential(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], str]:
        """None."""
        return rows[:0], ""

    def facts(self, ledger: Ledger, usable: NDArray[np.bool_]) -> Target:  # noqa: ARG002 - every task's signature
        """None."""
        return {}

    def stored(self, target: Target) -> pa.Array:  # noqa: ARG002 - every task's signature
        """The numbers."""
        return pa.array(self.values)
