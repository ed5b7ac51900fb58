"""Answers requests about proteins: JSON and FASTA to sequences, these to numbers of residues."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from boatyard.bundle.manifest import BundleError, Manifest
from boatyard.inputs.lines import Unreadable
from boatyard.inputs.protein import fasta
from boatyard.inputs.protein.descriptors import DESCRIBED, describe
from boatyard.inputs.protein.fasta import LONGEST_ID, MEDIA_TYPE, named, read_fasta
from boatyard.inputs.protein.parts import take_apart
from boatyard.inputs.protein.sequences import MOST_RESIDUES, WrongSequence, numbers, read_sequence
from boatyard.inputs.protein.words import WORDS, Known
from boatyard.inputs.protocol import Feeds, InvalidInput, Parts, pointer_to
from boatyard.inputs.records import Record
from boatyard.inputs.texts import is_encodable
from boatyard.journal.columns import Column

if TYPE_CHECKING:
    from boatyard.config.schema import Model

SEQUENCE, ID = "sequence", "id"
Row = tuple[str, str]
"""The sequence, in capitals, and the id that its client gave it, or none: "" then."""

KNOWN_WORDS = "words.npy"
FILES = (KNOWN_WORDS,)
NAMED = ID
LEAST_LENGTH = 4
"""Of a batch: longer words of residues than this no graph has."""

_MOST_EXPANDED, _MOST_OF_A_JOB = 2**24, 2**28  # bytes
_MOST_RECORDS = 1_000
_ECHOED_CHARACTERS = 40


def read_request(body: bytes) -> list[dict[str, Any]]:
    """Records of FASTA as JSON has them: a list, even of one. Raises InvalidInput."""
    sent: list[dict[str, Any]] = []
    try:
        for record in read_fasta([body], _MOST_EXPANDED):
            if record.wrong is not None:
                raise InvalidInput(f"line {record.line} {record.wrong}")
            if len(sent) == _MOST_RECORDS:
                raise InvalidInput(f"the body has more than {_MOST_RECORDS:,} records; POST /jobs takes large files")
            sent.append({name: record.fields[name] for name in (ID, SEQUENCE)})
    except Unreadable as why:
        raise InvalidInput(f"the body {why}") from None
    return sent


MEDIA_TYPES: Mapping[str, Callable[[bytes], object]] = {MEDIA_TYPE: read_request}
FILE_FORMATS: Mapping[str, Callable[[Iterable[bytes]], Iterator[Record]]] = {
    MEDIA_TYPE: partial(read_fasta, most_bytes=_MOST_OF_A_JOB)
}
SUFFIXES = dict.fromkeys(fasta.SUFFIXES, MEDIA_TYPE)


@dataclass(frozen=True, slots=True)
class EncodedProtein:
    """Numbers of residues, as far as the model reads."""

    residues: NDArray[np.uint8]
    truncated: bool

    @property
    def cost(self) -> int:
        """In residues."""
        return len(self.residues)


def open_input(folder: Path, manifest: Manifest) -> "ProteinInput":
    """By the manifest's limits and the words of the training sequences."""
    if (max_residues := manifest.limits.get("max_residues")) is None:
        raise BundleError(f"the manifest of {manifest.name} states no limits.max_residues")
    return ProteinInput(max_residues, _read_words(folder / KNOWN_WORDS))


def request_schema(fields: Sequence[str], folder: Path) -> dict[str, Any]:  # noqa: ARG001 - every input's signature
    """`id` is the client's own name for the sequence."""
    return {
        "type": "object",
        "properties": {
            SEQUENCE: {"type": "string", "minLength": 1, "maxLength": 2 * MOST_RESIDUES, "pattern": "[A-Za-z]"},
            ID: {"type": "string", "maxLength": LONGEST_ID},
        },
        "required": [SEQUENCE],
        "additionalProperties": False,
    }


def limits(model: "Model") -> dict[str, int]:
    """What a served model reads at most of one sequence."""
    from boatyard.inputs.protein.settings import protein_model  # of the configuration, which no server reads

    return {"max_residues": protein_model(model).max_residues}


class ProteinInput:
    """Reads so many residues of each sequence. `known`: the words of the training sequences."""

    measured = (Column("length", "the length of the sequence"),)
    described = DESCRIBED

    def __init__(self, max_residues: int, known: Known) -> None:
        self._most = max_residues
        self._known = known

    def parse(self, payload: object) -> Row:
        """Whatever is not the schema's object, or no protein, is refused."""
        if not isinstance(payload, dict):
            raise InvalidInput(f'the input must be an object with "{SEQUENCE}"')
        for field in payload:
            if field not in (SEQUENCE, ID):
                # the name is the client's and may be of any length, so the pointer stays at the object
                has = f'the input has "{SEQUENCE}", and may have "{ID}"'
                raise InvalidInput(f"unknown field {str(field)[:_ECHOED_CHARACTERS]!r}: {has}")
        if SEQUENCE not in payload:
            raise InvalidInput(f'"{SEQUENCE}" is missing', pointer_to(SEQUENCE))
        id_ = _id(payload.get(ID))
        return _sequence(payload[SEQUENCE], id_), id_

    def encode(self, rows: Sequence[Row]) -> list[EncodedProtein]:
        """What is beyond the limit is cut off."""
        return [
            EncodedProtein(numbers(sequence[: self._most]), truncated=len(sequence) > self._most)
            for sequence, _ in rows
        ]

    def collate(self, encoded: Sequence[EncodedProtein]) -> Feeds:
        """int64 `residues`, [rows, residues], filled up with 0."""
        batch = np.zeros((len(encoded), max(LEAST_LENGTH, *(row.cost for row in encoded))), np.int64)
        for line, row in zip(batch, encoded, strict=True):
            line[: row.cost] = row.residues
        return {"residues": batch}

    def name_of(self, row: Row) -> str | None:
        """Its id."""
        return row[1] or None

    def measure(self, encoded: EncodedProtein) -> dict[str, Any]:
        """`length`, in residues that are read."""
        return {"length": encoded.cost}

    def describe(self, rows: Sequence[Row], encoded: Sequence[EncodedProtein]) -> dict[str, list[Any]]:  # noqa: ARG002
        """Of each row, what `described` names."""
        return describe([sequence for sequence, _ in rows], self._known)

    def parts(self, row: Row) -> Parts[Row]:
        """Stretches of the sequence, as far as the model reads it."""
        return take_apart(SEQUENCE, row, self._most)


def _read_words(path: Path) -> Known:
    try:
        known: Known = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as wrong:
        raise BundleError(f"{path} cannot be read: {wrong}") from None
    if known.shape != (WORDS // 8,) or known.dtype != np.uint8:
        raise BundleError(f"{path} does not hold a bit for each of {WORDS:,} words")
    return known


def _sequence(sent: object, id_: str) -> str:
    if not isinstance(sent, str):
        raise InvalidInput(f'"{SEQUENCE}" must be a string', pointer_to(SEQUENCE))
    try:
        return read_sequence(sent)
    except WrongSequence as wrong:
        of = f" of {named(id_)}" if id_ else ""
        raise InvalidInput(f'"{SEQUENCE}"{of} {wrong}', pointer_to(SEQUENCE)) from None


def _id(sent: object) -> str:
    if sent is None:
        return ""
    if not isinstance(sent, str) or not is_encodable(sent) or len(sent) > LONGEST_ID:
        raise InvalidInput(f'"{ID}" must be a string of at most {LONGEST_ID} characters', pointer_to(ID))
    return sent
