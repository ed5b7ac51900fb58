"""What an input owes to the server; `training_protocol` has what it owes to training.

The two parts never import each other's libraries. Signatures, shapes and errors are here; how to write one is told in
docs/how-to/add-an-input-or-a-task.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from boatyard.config.errors import UserError
from boatyard.inputs.records import Record
from boatyard.journal.columns import Column

if TYPE_CHECKING:
    from pathlib import Path

    from boatyard.bundle.manifest import Manifest

Feeds = dict[str, "np.ndarray[Any, Any]"]
"""Graph inputs by name."""


class InvalidInput(UserError):  # noqa: N818 - says what happened
    """A request, or feedback, that cannot be; `pointer` is the JSON Pointer of what is wrong in it."""

    def __init__(self, detail: str, pointer: str = "") -> None:
        super().__init__(detail)
        self.detail = detail
        self.pointer = pointer


def pointer_to(field: str) -> str:
    """The JSON Pointer of a request's field (RFC 6901)."""
    return "/" + field.replace("~", "~0").replace("/", "~1")


# ---- serving


class Encoded(Protocol):
    """One row as a graph reads it, not yet in a batch."""

    @property
    def cost(self) -> int:
        """What a row costs in a batch, such as its tokens: rows of like cost share one, of 512 in all, or it leaves the
        processor's caches. 1 if all are alike."""  # fmt: skip

    @property
    def truncated(self) -> bool:
        """Whether the model reads less than the row has."""


class Part(NamedTuple):
    """A part of a row, and its place in the request: from `start` to `end` of the `field`, or all of it."""

    name: str
    field: str
    start: int | None = None
    end: int | None = None


class Mark(NamedTuple):
    """What an answer says of a place in a row, in the row's own units."""

    name: str
    score: float
    left: float
    top: float
    right: float
    bottom: float


RowT = TypeVar("RowT")


@dataclass(frozen=True)
class Parts(Generic[RowT]):
    """A row taken apart. `backgrounds`: how many background rows there are, or 1 where parts are left out."""

    names: Sequence[Part]
    """In the order of the row, some 100 at most: each takes 32 variants."""
    variants: Callable[[NDArray[np.bool_], NDArray[np.int64]], list[RowT]]
    """For each line of [variants, parts], the row with only these of its own parts.

    The others are those of the background row whose number is in [variants], or left out. With all parts of its own, a
    variant is the row as it was.
    """
    backgrounds: int = 1


EncodedT = TypeVar("EncodedT", bound=Encoded)


class OpenInput(Protocol[RowT, EncodedT]):
    """The input of one bundle. What a field's value and an encoded row are is its own affair. Threads may share it."""

    @property
    def measured(self) -> Sequence[Column]:
        """Of every answered row, in the journal even where its request is not kept."""

    @property
    def described(self) -> Sequence[Column]:
        """Of a row whose request is kept: worked out by who looks for drift, or exports."""

    def parse(self, payload: object) -> RowT:
        """The row in one decoded request, as training has it: a tuple of the fields' values. Raises InvalidInput."""

    def encode(self, rows: Sequence[RowT]) -> list[EncodedT]:
        """All rows at once, in their order."""

    def collate(self, encoded: Sequence[EncodedT]) -> Feeds:
        """One batch."""

    def name_of(self, row: RowT) -> str | None:
        """What its client calls the row, which the answer repeats; None where it has no name."""

    def measure(self, encoded: EncodedT) -> dict[str, Any]:
        """A value for each of the `measured`."""

    def describe(self, rows: Sequence[RowT], encoded: Sequence[EncodedT]) -> dict[str, list[Any]]:
        """For each of the `described`, of each row a number or, of all rows, the name of a category."""

    def parts(self, row: RowT) -> Parts[RowT]:
        """What an explanation of the row's answer tells apart."""


class ServingInput(Protocol):
    """The module `boatyard.inputs.<input>.serving`: imports neither torch nor pandas.

    Where clients may name rows, `NAMED: str` is the field that does.
    Where requests are larger than most, it says `MOST_BYTES: int` of one, and `MOST_RAW_BYTES: int` of one in its
    MEDIA_TYPES.
    Where `parse` takes long, as it does for what is compressed, it says `SLOW_PARSE = True`: threads do it then, a few
    at a time.
    Where files are known by their names, `SUFFIXES: Mapping[str, str]` says of which media type they are: FILE_FORMATS
    has those that hold rows, MEDIA_TYPES those that each are one.
    Where people can look at a request, `draw(request, marks) -> bytes` makes a JPEG of it, with its answer's marks.
    """

    FILES: Sequence[str]
    """What lies beside the graph in a bundle and is read to answer."""
    MEDIA_TYPES: Mapping[str, Callable[[bytes], object]]
    """Besides JSON, what a request's body may be, and how it becomes what `parse` takes, or a list where it may hold
    several inputs; raises InvalidInput."""
    FILE_FORMATS: Mapping[str, Callable[[Iterable[bytes]], Iterator[Record]]]
    """Besides CSV, TSV and JSON Lines, what a job's file may be by media type, and its records read as it comes in."""

    def open_input(self, folder: Path, manifest: Manifest) -> OpenInput[Any, Any]:
        """Reads `FILES` from a verified bundle, whose folder may be gone afterwards. Raises BundleError."""


# ---- training
