"""What a task owes to the rest: one part to the server, one to training.

Signatures, shapes and errors are here; how to write one is told in docs/how-to/add-an-input-or-a-task.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from boatyard.inputs.training_protocol import Problem
from boatyard.journal.columns import Column
from boatyard.tasks.score import Losses, Score, Scores

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa
    from scipy.sparse import csr_array
    from torch import Tensor, nn

    from boatyard.bundle.manifest import Card
    from boatyard.bundle.map import Map
    from boatyard.config.schema import Config, Data, Model
    from boatyard.data.ledger import Findings, Ledger
    from boatyard.data.summary import DataSummary
    from boatyard.inputs.training_protocol import Learner, SimpleFeatures

Outputs = Mapping[str, NDArray[Any]]
"""A graph's outputs by name; of each array a row for each input row."""

Answer = dict[str, Any]
"""What a client is told of one row, as JSON."""

Truth = dict[str, Any]
"""What would have been right, as JSON; `parse_truth` makes it of feedback."""

Target = dict[str, Any]
"""What a bundle's manifest says of the task: its labels, its unit and the like, as JSON."""


# ---- serving


class OpenTask(Protocol):
    """The task of one bundle. Threads may share it.

    Where a client may ask this one for more than any, it has `Options: type[BaseModel]` of its own, of the module's.
    """

    @property
    def columns(self) -> Sequence[Column]:
        """Of an answer, each one of its keys: what the journal counts, drift compares and /metrics shows."""

    def decode(self, outputs: Outputs, options: BaseModel) -> list[Answer]:
        """An answer for each row. `options`: an instance of the module's Options."""

    def parse_truth(self, payload: Mapping[str, Any]) -> Truth:
        """What feedback says, less its id, in normal form; raises InvalidInput where it cannot be."""

    def loss(self, answer: Mapping[str, Any], truth: Truth) -> float:
        """Of one row, 0 where it is right. Of the answer only the `columns` need be there."""

    def score(self, losses: Losses) -> Score:
        """The primary score of rows with these losses, linear in their mean, with its interval. There must be a row."""

    def explained(self, outputs: Outputs, answer: Answer) -> NDArray[Any]:
        """[rows]: the number that explains `answer`, which one of the rows has, such as how likely it is."""


class NoOptions(BaseModel):
    """The Options of a task that has none."""


class ServingTask(Protocol):
    """The module `boatyard.tasks.<task>.serving`: imports neither torch nor pandas.

    Where answers say where things are in a row, `marks(answer) -> list[Mark]` takes that out of one.
    """

    OUTPUTS: Sequence[str]
    """Of a graph, what `decode` reads; most graphs have `embedding` besides."""
    Options: type[BaseModel]
    """What a client may ask for in the query, each with a default."""
    FILES: Sequence[str]
    """What may lie beside the graph in a bundle and is read to answer."""

    def open_task(self, card: Card, folder: Path | None) -> OpenTask:
        """By the card's `target`, and the FILES of a verified bundle, whose folder may be gone afterwards.

        `folder`: None where no row will be answered, only feedback read. Raises BundleError.
        """

    def check_outputs(self, card: Card, shapes: Mapping[str, Sequence[Any]]) -> None:
        """Raises BundleError where a graph with OUTPUTS of these shapes cannot answer for the card."""

    def answer_schema(self, target: Target) -> dict[str, Any]:
        """JSON Schema of an answer."""

    def truth_schema(self, target: Target) -> dict[str, Any]:
        """JSON Schema of what feedback says, less its id."""


# ---- training


class Targets(Protocol):
    """The targets of the rows that are being prepared, one after another."""

    column: str
    """Of the source, as messages name it."""
    noun: str
    """What one is called in a message, such as "label"."""
    values: NDArray[Any]
    """[rows] once closed: equal where the targets are."""
    contradictory: Literal["error", "warning"]
    """What it is if rows of one content contradict each other; of an error, none of them can be trusted."""

    def read(self, cells: Mapping[str, Any]) -> Any | Problem:
        """The target in a source's cells, or what is wrong with it: of these cells alone, as others read other rows.

        It is asked in several processes; what it returns goes from one to another by pickle.
        """

    def append(self, target: Any, /) -> None:
        """Keep it for the row that is next."""

    def close(self) -> None:
        """There are no more."""

    def knows(self, cells: Mapping[str, Any]) -> bool:
        """Whether these cells hold a target that some row has, or might: then they are a row's."""

    def contradiction(self, rows: NDArray[np.int64]) -> tuple[int, int] | None:
        """Two of these rows, the earlier first, that say the same and should not have their targets; None: all may."""

    def shown(self, index: int) -> str:
        """A row's target in a message."""

    def cell(self, index: int) -> Any:
        """A row's target as a source holds it."""

    def check(self, ledger: Ledger, findings: Findings, usable: NDArray[np.bool_]) -> dict[int, str]:
        """Find what is wrong with them all together. Returns the rows to set aside, each with the reason."""

    def essential(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], str]:
        """Places in `rows` of those that no sample of them may lack, such as one of each label, and why."""

    def facts(self, ledger: Ledger, usable: NDArray[np.bool_]) -> Target:
        """What the usable rows say of the target, as JSON: `labels` and the like."""

    def stored(self, target: Target) -> pa.Array:
        """Of all rows, as training reads them; what is not usable may be anything."""

    def group(self, index: int) -> str:
        """Under which of a few headings the report shows a row, such as its label."""


@dataclass(frozen=True)
class Section:
    """A part of a report: Markdown below a heading, which may show the pictures by their file names."""

    heading: str
    parts: Sequence[str]


class Head(Protocol):
    """A torch module: features, float[batch, width], to raw outputs by name.

    With `asks_where = True` it reads the backbone's `places` instead.
    """

    def loss(self, raw: Mapping[str, Tensor], targets: Tensor) -> Tensor:
        """The mean over the batch."""

    def served(self, raw: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        """What the graph answers, in the order of OUTPUTS."""

    def divergence(self, first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> Tensor:
        """How far two readings of the same rows are apart, the mean over the batch: what `train.r_drop` weighs."""

    def start_at(self, features: Tensor, targets: Tensor) -> None:
        """Set the weights where the training rows' features put them: `model.head=fitted`."""

    def widen(
        self, mixing: NDArray[np.float64], intercepts: NDArray[np.float64], features: Tensor, targets: Tensor
    ) -> None:
        """Read further features too, the sums that a linear model's outputs are made of, with as much say as is best.

        Args:
            mixing: [sums, outputs], and `intercepts`, [outputs]: how `fit_linear`'s outputs come of the sums.
            features: of validation rows, float[rows, width + sums].
            targets: theirs.
        """

    def read_estimates(self) -> None:
        """Set the weights for features that are the `fit_estimates` of the task: there is nothing left to train."""


class Estimator(Protocol):
    """A fitted simple model on an input's simple features."""

    name: str
    """In a word or three."""
    description: str
    """For a reader of the report, as a noun phrase."""

    def outputs(self, rows: Sequence[Any]) -> Outputs:
        """What `score` reads, as far as a simple model has it."""


class TrainingTask(Protocol):
    """The module `boatyard.tasks.<task>.training`."""

    VALIDATION: Mapping[str, bool]
    """What `validation_scores` holds, the primary first, and whether higher is better."""
    SMOOTHED: bool
    """Whether transformers' label smoothing has a meaning for the targets."""
    BY_GROUP: Sequence[str]
    """Of the scores, those that a report has of groups of rows, besides the primary."""
    DOCUMENTS: Sequence[str]
    """The names of the pictures that `report` draws."""

    def open_targets(self, data: Data) -> Targets:
        """For rows that are about to be read. Raises UserError where `data` names the target wrongly."""

    def target_columns(self, data: Data) -> list[str]:
        """The columns of a source that hold the target."""

    def refusal(self, target: Target) -> str | None:
        """Why nothing can be learnt from rows with these targets, as a sentence; None where something can."""

    def data_section(self, summary: DataSummary, folder: Path) -> list[Section]:
        """The data report's part on the targets; its pictures are drawn into `folder`."""

    def data_facts(self, summary: DataSummary) -> dict[str, Any]:
        """The same in numbers."""

    def tensor(self, targets: Sequence[Any]) -> Tensor:
        """A batch of stored targets."""

    def head_shape(self, target: Target, model: Model) -> dict[str, Any]:
        """All that a head is built by besides the features' width, as JSON."""

    def build_head(self, width: int, shape: Mapping[str, Any]) -> nn.Module:
        """A Head of that shape with random weights; those of one that was trained are loaded afterwards."""

    def fit_estimates(self, learner: Learner, targets: NDArray[Any], target: Target) -> list[Any]:
        """What a model that is fitted, not trained, estimates. `targets`: as the learner wants them.

        Raises UserError where the task can only be trained.
        """

    def fit_linear(
        self, features: csr_array, targets: NDArray[Any], target: Target, seed: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        """A linear model of the raw outputs, whatever their scale: weights, [features, outputs], and intercepts.

        None where there is none. Where all rows would take too long, of some. `features`: float64[rows, features].
        """

    def validation_scores(self, raw: NDArray[Any], targets: NDArray[Any]) -> dict[str, float]:
        """While training goes on. `raw`: the head's first raw output."""

    def fit_after(self, outputs: Outputs, targets: NDArray[Any], target: Target, config: Config) -> Target:
        """What is learnt from the answers on validation and goes into the manifest's target, such as a quantile.

        Raises UserError where the configuration asks for what they do not allow.
        """

    def fit_files(
        self,
        folder: Path,
        embeddings: NDArray[Any],
        targets: NDArray[Any],
        validation: NDArray[Any],
        target: Target,
    ) -> Target:
        """Write what the serving part's FILES are to hold; what goes into the manifest's target with them.

        By the served graph's embeddings, float[rows, width]: of training rows, whose `targets` these are, and of
        validation rows.
        """

    def fit_map(self, embeddings: NDArray[Any], targets: NDArray[Any], target: Target) -> Map | None:
        """A plane through the embeddings of training rows, float[rows, width], for whoever sees a job's rows on it.

        None where there is none.
        """

    def score(self, outputs: Outputs, targets: NDArray[Any], target: Target, config: Config) -> Scores:
        """How good the outputs are."""

    def truth(self, stored: Any, target: Target) -> Truth:
        """What feedback would say of a row with this stored target."""

    def cell(self, truth: Truth) -> Any:
        """What a source would hold for it; None where it does not say what would be right."""

    def report(
        self,
        scores: Scores,
        outputs: Outputs,
        targets: NDArray[Any],
        target: Target,
        rows: ShownRows,
        config: Config,
        folder: Path,
    ) -> list[Section]:
        """The evaluation report's part below the headline; its pictures are drawn into `folder`."""

    def fit_baseline(
        self, simple: SimpleFeatures, rows: Sequence[Any], targets: NDArray[Any], target: Target, seed: int
    ) -> Estimator:
        """The simple model that a network must beat, fitted on all these rows."""

    def fallback(self, targets: NDArray[Any], target: Target) -> Estimator:
        """What needs no features, such as the most frequent label: where no other can be fitted."""

    def sample(self, targets: NDArray[Any], random: np.random.Generator, size: int) -> NDArray[np.int64]:
        """Row numbers in ascending order, some `size` of them, for a baseline that cannot be fitted on all."""

    def parity(self, exact: Outputs, served: Outputs, targets: NDArray[Any], config: Config) -> Parity:
        """How a quantised graph compares with the exact one."""

    def card_parts(self, target: Target, scores: Scores) -> list[Section]:
        """Of the model card: what it answers, how good that is, and what it leaves open. `scores`: as served."""


@dataclass(frozen=True)
class ShownRows:
    """Rows of a report: where each comes from (file:row), and how a person reads it.

    `canvas`: draws the row of that number, as the input's does.
    """

    sources: Sequence[str]
    texts: Sequence[str]
    canvas: Callable[[int], NDArray[np.uint8] | None] = lambda _: None


@dataclass(frozen=True)
class Parity:
    """What quantising changed. `refusal`: why the quantised graph must not be served; None where it may be."""

    figures: dict[str, float]
    sentence: str
    refusal: str | None
