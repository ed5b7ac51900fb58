"""What an input owes to training; `protocol` has what it owes to the server."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa
    from datasets import Dataset
    from scipy.sparse import csr_array
    from torch import Tensor, nn

    from boatyard.config.schema import Data, Model, Train
    from boatyard.tasks.protocol import Section, Target

from boatyard.inputs.protocol import Feeds

OWN = "boatyard."
TARGET, SOURCE, ROW = (f"{OWN}{name}" for name in ("target", "source", "row"))
"""A prepared row's columns besides its fields, whose names are anyone's."""
EXTENT = f"{OWN}extent"
"""A cell that a source lacks: see `RowFormat.extent`."""


class Problem(NamedTuple):
    """Why one row cannot be used; `message` goes on from its place, as in "train.csv:7 *is empty*"."""

    kind: str
    column: str | None  # None: the whole row
    message: str


class SourceRow(NamedTuple):
    """A row of a source: its number as an editor shows it, and its cells by column; or what is `wrong`, and its text.

    `embedded`: the cells of its lines that would be rows by themselves, where there are two or more. `file`: its own,
    which people know it by, where each row has one.
    """

    number: int
    cells: Mapping[str, Any]
    wrong: str | None = None
    text: str = ""
    embedded: Sequence[Mapping[str, Any]] = ()
    file: str | None = None


@dataclass(frozen=True)
class Source:
    """One file, folder or split of a data set. `digest` stands for its content; `split`: where it belongs, if it says.

    `rows()` streams: memory does not grow with the source. It raises UserError where nothing of it can be read.
    """

    name: str
    split: str | None
    digest: str
    rows: Callable[[], Iterator[SourceRow]]


@dataclass(frozen=True)
class RowFormat:
    """What a row is made of, and how it is taken out of a source: each by itself, as several processes share them."""

    fields: Mapping[str, pa.DataType]
    """In order, as Arrow holds them."""
    read: Callable[[Mapping[str, Any]], tuple[Any, ...] | Problem]
    """Takes the row out of a source's cells, or says what is wrong with it."""
    columns: Sequence[str] = ()
    """Of a source, one for each field: each must be there, and a row that is set aside is shown by them."""
    stored: Mapping[str, Any] = field(default_factory=dict)
    """The input's own keys of `data`, with the values by which `read` finds a row in its `request`."""
    extent: Callable[[tuple[Any, ...]], tuple[int, ...]] | None = None
    """Of a row in which a target may have a place, how far places go: a task is told as the cell EXTENT."""


@dataclass(frozen=True)
class RowReport:
    """What an input says of rows in the data report: `sections`, the same in numbers, and what people should look at.

    `warnings`: each of a whole column, or of the rows together.
    """

    sections: Sequence[Section] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    warnings: Sequence[Problem] = ()


@dataclass(frozen=True)
class Relatives:
    """Rows that are so alike that they stay on one side of a split, as only all of them together show.

    `groups`: int64[rows], a number that relatives have in common. `exact`: whether none is missed.
    """

    groups: NDArray[np.int64]
    exact: bool


class Encoder(Protocol):
    """Turns rows into a network's inputs: each row by itself, as several processes share them out."""

    def encode(self, rows: Sequence[Any]) -> dict[str, pa.Array]:
        """Arrow columns with an entry for each row; int32 `cost` is what batches are grouped by."""

    def collate(self, items: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        """Encoded rows to one batch of the backbone's arguments."""


Vary = Callable[[Sequence[Mapping[str, Any]], np.random.Generator], Sequence[Mapping[str, Any]]]
"""A batch of encoded training rows, with TARGET, to what the network sees of it this time: as many or more rows.

All that chance decides comes from the generator, so that a run which is resumed goes on as it would have.
"""


class Backbone(Protocol):
    """A torch module: a batch of the encoder's to features, float[batch, width].

    Where these say nothing that the answers do not, it has `embeds = False`: the graph has no embedding then; where
    only the first do, `embedded: int` says how many. An ensemble says how many `members: int` it has, and answers with
    float[batch, members, width]: the head reads each one's, its loss is of each, and what is served is their mean.

    Where things have places in a row, `places` takes the same batch for a head that asks for these. It says by name:
    `features`, as above; `maps`, float[batch, width, rows, columns]; `extent`, as the row format has it, and the
    `origin` and `step`, each float[batch, 2], with which the place x, y in the row is `origin + step * (column, row)`.
    In training, rows that are `turned`, bool[batch], lie on their side: their column and row change places. Instead of
    `maps` there may be `queries`, float[batch, queries, width], each of which may be a thing, with its `boxes`,
    float[batch, queries, 4], left, top, right, bottom as columns and rows; in training perhaps also what the layers
    before the last have, `earlier_queries` and `earlier_boxes`, float[batch, layers, queries, ...].
    """

    width: int


Loss = Literal["squared_error", "gamma", "log_loss"]
"""What is estimated of the targets: their mean; of positive numbers (gamma) the logarithm of their mean; of kinds,
numbered from 0, a number each, which are in proportion to the logarithms of their shares."""


class Learner(Protocol):
    """Fits functions of rows at once, where a Trainer takes steps. `targets`: of training rows, then of validation."""

    def fit(self, loss: Loss, targets: np.ndarray[Any, Any], kinds: int = 1) -> Any:
        """An estimate of the targets: a number of each row, or one for each of so many kinds. Raises UserError."""

    def held_out(self, loss: Loss, targets: np.ndarray[Any, Any], kinds: int = 1) -> np.ndarray[Any, Any]:
        """float64[rows, kinds]: of each row, what estimates say that were fitted without it."""

    def backbone(self, estimates: Sequence[Any]) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Shape and state of the Backbone whose features these are, one after another."""


class Counted(Protocol):
    """What a linear model reads beside a network that was trained, such as counts of words."""

    def features(self, rows: Dataset) -> csr_array:
        """Of encoded rows, float64[rows, features]."""

    def join(self, backbone: Any, weights: NDArray[np.float64]) -> tuple[dict[str, Any], NDArray[np.float64]]:
        """Give the backbone the weights, [features, outputs], as further features: sums that the outputs are made of.

        Returns what its shape has in addition, and how the outputs come of the sums, [sums, outputs].
        """


class Features(Protocol):
    """Simple features of rows, for a baseline; scikit-learn's two methods."""

    def fit_transform(self, rows: Sequence[Any]) -> Any:
        """A matrix, [rows, features], sparse or not."""

    def transform(self, rows: Sequence[Any]) -> Any:
        """The same of other rows."""


class Regions(NamedTuple):
    """Parts of a row that stand out: where, float32[parts, 4] as targets have places, and what each is like."""

    places: NDArray[np.float32]
    features: NDArray[np.float64]


class SimpleFeatures(Protocol):
    """What a baseline sees of rows, and what that costs.

    Where things have places in a row, `regions(row)` takes its Regions for a baseline that has to say where, and
    `region_name` says what they are, as a noun phrase.
    """

    name: str
    """In a word or two."""
    most_rows: int
    """As many are fitted at most."""
    most_cost: int
    """Of all rows that are fitted together."""

    def cost(self, rows: Sequence[Any]) -> int:
        """Of fitting these, in the input's own unit, such as characters."""

    def features(self, *, rich: bool) -> tuple[Features, str]:
        """New ones, and what they are as a noun phrase. `rich`: all there are; else those that cost little."""


@dataclass(frozen=True)
class Alternative:
    """Another model of the same rows, encoded as they are, that a report shows beside the trained one.

    `model`: the section of the configuration that chooses it; its `open_learner` is not None. `most_rows`: as many are
    fitted at most, drawn by chance.
    """

    name: str
    """In a word or two, as a heading of a table."""
    description: str
    """For a reader of the report, as a noun phrase."""
    model: Model
    most_rows: int


@dataclass(frozen=True)
class Group:
    """Rows that share something, by their numbers. `name`: what they share, and `by`: in what, such as a column."""

    by: str
    name: str
    rows: NDArray[np.int64]


class TrainingInput(Protocol):
    """The module `boatyard.inputs.<input>.training`.

    A row, in training, is a tuple with a value for each field, in the order of `row_format`.
    """

    SIZE_UNIT: str
    """What `size` counts, in the plural, for the data report."""
    COST_UNIT: str
    """What an encoder's `cost` counts, in the plural, for the profile of a training step."""
    REPEATS: Literal["error", "warning"]
    """What rows of one content are. A warning where rows can be alike and not be the same, as two customers can who
    agree in each column: all are kept, on one side of a split, whatever their targets."""
    quantize_graph: Callable[[Path, Path, Iterable[Feeds]], None] | None
    """Reads the graph in fp32 and writes it in int8, by some hundred training rows in batches; a row's answer must not
    depend on the rest of its batch. None: whatever `export.precision`, the graph is served in fp32."""

    def row_format(self, data: Data) -> RowFormat:
        """By the input's own keys of `data`. Raises UserError where they are wrong."""

    def open_sources(self, data: Data, columns: Sequence[str], cache: Path) -> list[Source]:
        """Where `data` leads. `columns`: those of the row format, and of the target and the split where these are read.

        What comes from elsewhere is kept in `cache`. Raises UserError: there is nothing that can be read.
        """

    def settle(self, data: Data, sources: Sequence[Source], others: Sequence[str]) -> tuple[Data, Mapping[str, Any]]:
        """`data` with what its keys leave open, found by a look at the sources; and what the report says of that.

        `others`: columns that are not the input's. Raises UserError where the sources are not as `data` says.
        """

    def report_rows(
        self, data: Data, found: Mapping[str, Any], rows: pa.Table, target: Target, folder: Path
    ) -> RowReport:
        """Of training rows, with a column for each field, TARGET, SOURCE and ROW; pictures are drawn into `folder`.

        `found`: what `settle` says besides; `target`: the task's facts.
        """

    def content_key(self, row: Sequence[Any]) -> bytes:
        """Equal for rows of equal content: exact duplicates."""

    def group_key(self, row: Sequence[Any]) -> bytes:
        """Equal for rows that say the same, and so stay on one side of a split."""

    def relatives(self, rows: pa.Table) -> Relatives | None:
        """Of rows with a column for each field; None where `group_key` says all."""

    def size(self, row: Sequence[Any]) -> int:
        """How large the row is, in SIZE_UNIT."""

    def unservable(self, row: Sequence[Any]) -> str | None:
        """Why no server would take the row, which may be trained on, as the end of a sentence; None where it would."""

    def show(self, row: Sequence[Any]) -> str:
        """The row as a person reads it in a report."""

    def canvas(self, row: Sequence[Any]) -> NDArray[np.uint8] | None:
        """The row as a report draws it, [height, width, 3], which a task may draw upon; None: `show` says it all."""

    def groups(self, data: Data, rows: Sequence[Any]) -> list[Group]:
        """Of these rows the groups that a reader wants to see measured by themselves. A row may be in several."""

    def request(self, fields: Sequence[str], row: Sequence[Any]) -> dict[str, Any]:
        """The row as a client would send it."""

    def request_schema(self, fields: Sequence[str], folder: Path) -> dict[str, Any]:
        """JSON Schema of one request. `folder`: what `make_inputs` wrote."""

    def limits(self, model: Model) -> dict[str, int]:
        """What a served model reads at most, by name."""

    def make_inputs(self, model: Model, data: Data, rows: Iterable[Sequence[Any]], folder: Path) -> None:
        """Write what an `Encoder` needs, learning it from training rows where nothing is pretrained."""

    def open_encoder(self, folder: Path) -> Encoder:
        """What `make_inputs` wrote, at work."""

    def digest_of_start(self, model: Model) -> dict[str, str]:
        """By file, what lies in the folder that the network starts from: with other content it is another run."""

    def open_learner(self, model: Model, training: Dataset, validation: Dataset, seed: int) -> Learner | None:
        """What fits the backbone to encoded rows; None where it is trained, step by step."""

    def open_counted(self, model: Model, folder: Path, training: Dataset) -> Counted | None:
        """What is counted beside the network, learnt from encoded rows; None where nothing is."""

    def open_variation(self, train: Train, data: Data, target: Target) -> Vary | None:
        """What makes training rows new in each epoch; None where they are read as they are. Raises UserError.

        `target`: the task's facts.
        """

    def alternative(self, model: Model) -> Alternative | None:
        """What to show beside this one; None: the baseline is enough."""

    def backbone_shape(self, model: Model, folder: Path) -> dict[str, Any]:
        """All that the backbone for the inputs in `folder` is built by, as JSON. Raises UserError."""

    def build_backbone(self, shape: Mapping[str, Any], start: str | None) -> nn.Module:
        """A Backbone of that shape. `start`: `model.name`, whose weights it takes; None: of random weights.

        The weights of one that was trained are loaded afterwards. Raises UserError where `start` has none.
        """

    def export_graph(
        self, network: nn.Module, example: Mapping[str, Tensor], outputs: Sequence[str], graph: Path
    ) -> None:
        """Write the network as ONNX in fp32.

        `network`: a `boatyard.model.Served`, whose `outputs` these are; `example`: a batch of two rows for it.
        """

    def simple_features(self, data: Data) -> SimpleFeatures:
        """What a baseline is fitted on."""
