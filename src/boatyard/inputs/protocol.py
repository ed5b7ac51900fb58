"""What a kind of problem offers to the rest: one half to the server, the other to training."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from boatyard.config.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from boatyard.bundle.manifest import Manifest
    from boatyard.config.schema import Data, Model

Feeds = dict[str, "np.ndarray[Any, Any]"]
"""Graph inputs by name."""


class InvalidInput(UserError):  # noqa: N818 - says what happened
    """A request that is not the kind's; `pointer` is the JSON Pointer of what is wrong in it."""

    def __init__(self, detail: str, pointer: str = "") -> None:
        super().__init__(detail)
        self.detail = detail
        self.pointer = pointer


class Encoded(Protocol):
    """One row as model input, not yet padded."""

    @property
    def length(self) -> int:
        """What a batch is padded to: rows of like length share one cheaply."""

    @property
    def truncated(self) -> bool:
        """Whether the row was longer than the model reads."""


RowT = TypeVar("RowT")
EncodedT = TypeVar("EncodedT", bound=Encoded)


class ServedModel(Protocol[RowT, EncodedT]):
    """How a bundle's requests become its graph's inputs. The row and its encoding are the kind's own affair.

    The graph of a classifier answers with `logits`, `probabilities` and `embedding`.
    """

    descriptors: Mapping[str, str]
    """What drift is measured on besides answer and length: a name, and what it is in the middle of a sentence."""

    def describe(self, rows: Sequence[RowT], encoded: Sequence[EncodedT]) -> dict[str, list[float] | list[str]]:
        """For each of the `descriptors`, of each row a number or, of all rows, the name of a category."""

    def parse(self, payload: object) -> RowT:
        """The row in one decoded request; raises InvalidInput."""

    def encode(self, rows: Sequence[RowT]) -> list[EncodedT]:
        """All rows at once, in their order."""

    def collate(self, encoded: Sequence[EncodedT]) -> Feeds:
        """One batch, padded to its longest row."""


class ServingKind(Protocol):
    """The module `boatyard.inputs.<kind>.serving`: imports neither torch nor pandas."""

    FILES: Sequence[str]
    """What lies beside the graph in a bundle and is read to answer."""

    def open_model(self, folder: Path, manifest: Manifest) -> ServedModel[Any, Any]:
        """Reads `FILES` from a verified bundle, whose folder may be gone afterwards."""


class Baseline(Protocol):
    """A simple model to compare with, fitted."""

    @property
    def name(self) -> str:
        """What it is, in a word or three."""

    @property
    def description(self) -> str:
        """What it is, for a reader of the report."""

    @property
    def rows_used(self) -> int:
        """How many training rows it was fitted on."""

    @property
    def seconds(self) -> float:
        """What fitting took."""

    def predict(self, rows: Sequence[Any]) -> NDArray[np.int64]:
        """A class for each row."""


class Inputs(Protocol):
    """Turns rows into network inputs."""

    def encode(self, rows: Sequence[Any]) -> dict[str, Any]:
        """Arrow columns with an entry for each row; `length` is what a batch is padded to."""

    def collate(self, items: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        """Encoded rows to one batch of the network's arguments, with `labels`."""


class Network(Protocol):
    """A torch module that classifies and can be kept."""

    def save(self, folder: Path) -> None:
        """Weights and shape, without pickle."""


class TrainingKind(Protocol):
    """The module `boatyard.inputs.<kind>.training`."""

    LENGTH_UNIT: str
    """What `words` counts, in the plural."""

    def field_columns(self, data: Data) -> dict[str, str]:
        """The input fields of a request, in order, and the source's column for each."""

    def words(self, row: Sequence[str]) -> list[str]:
        """What a row says once spelling is ignored: rows with the same words say the same."""

    def unservable(self, row: Sequence[str]) -> str | None:
        """Why no server would take the row, which may be trained on, as the end of a sentence; None where it would."""

    def display(self, row: Sequence[str]) -> str:
        """The row as a person reads it in a report."""

    def make_inputs(self, model: Model, fields: Sequence[str], rows: Iterable[Any], folder: Path) -> None:
        """Write what `Inputs` needs, learning it from training rows where nothing is pretrained."""

    def Inputs(self, folder: Path) -> Inputs:  # noqa: N802 - a class
        """What `make_inputs` wrote, at work."""

    def digest_of_start(self, model: Model) -> dict[str, str]:
        """By file, what lies in the folder that the network starts from: with other content it is another run."""

    def build_network(self, model: Model, classes: int, folder: Path) -> Any:
        """An untrained network for the inputs in `folder`."""

    def load_network(self, folder: Path) -> Any:
        """A saved network, ready to answer."""

    def fit_baseline(self, rows: Sequence[Any], targets: NDArray[np.int64], seed: int) -> Baseline:
        """The simple model that a network must beat."""

    def input_schema(self, fields: list[str]) -> dict[str, Any]:
        """JSON Schema of one request."""

    def limits(self, model: Model) -> dict[str, int]:
        """What a served model reads at most, by name."""

    def export_graph(self, network: Path, graph: Path) -> None:
        """Write a saved network as ONNX in fp32, with the outputs that a ServedModel's graph has."""

    def quantize_graph(self, fp32: Path, int8: Path, calibration: Iterable[Feeds]) -> None:
        """Write that graph in int8; a row's answer must not depend on the rest of its batch."""
