"""What a row of proteins is before it is encoded: its sequence and its id, out of a source's cells."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from boatyard.inputs.defaults import REPEATS, canvas, groups, settle, unservable  # noqa: F401 - for `training`
from boatyard.inputs.protein.fasta import named
from boatyard.inputs.protein.sequences import WrongSequence, read_sequence
from boatyard.inputs.protein.serving import ID, SEQUENCE, Row
from boatyard.inputs.records import NOT_UTF_8
from boatyard.inputs.texts import is_encodable, normal_form
from boatyard.inputs.training_protocol import Problem, RowFormat

SIZE_UNIT = "residues"
_SHOWN_RESIDUES = 60


def row_format(data: Any) -> RowFormat:
    """A sequence and an id; where a table has no column of ids, they are empty."""
    sequences, ids = column_names(data)

    def read(cells: Mapping[str, Any]) -> Row | Problem:
        id_ = cells.get(ids)
        id_ = "" if id_ is None else str(id_)
        if not is_encodable(id_):
            return Problem("bad_bytes", ids, f"holds bytes that are {NOT_UTF_8}")
        written = cells.get(sequences)
        if written is None:
            return Problem("missing_column", sequences, "has no value; every row needs one")
        if not isinstance(written, str):
            return Problem("not_text", sequences, f"holds a {type(written).__name__}; expected a sequence")
        try:
            return read_sequence(written), id_
        except WrongSequence as wrong:
            return (
                Problem(wrong.kind, None, f"{named(id_)} {wrong}")
                if id_
                else Problem(wrong.kind, sequences, str(wrong))
            )

    stored = {"sequence_column": SEQUENCE, "id_column": ID, "label_pattern": None, "labels": None, "binary": False}
    return RowFormat({SEQUENCE: pa.string(), ID: pa.string()}, read, [sequences, ids], stored)


def column_names(data: Any) -> tuple[str, str]:
    """Those of sequences and of ids."""
    return normal_form(data.sequence_column), normal_form(data.id_column)


def content_key(row: Row) -> bytes:
    """The sequence."""
    return row[0].encode()


def group_key(row: Row) -> bytes:
    """The sequence: which others resemble it shows only on all of them together."""
    return content_key(row)


def size(row: Row) -> int:
    """In residues."""
    return len(row[0])


def show(row: Row) -> str:
    """The id and how the sequence begins."""
    sequence, id_ = row
    begins = sequence if len(sequence) <= _SHOWN_RESIDUES else f"{sequence[:_SHOWN_RESIDUES]}… ({len(sequence):,})"
    return f"{id_} {begins}".strip()


def request(fields: Sequence[str], row: Row) -> dict[str, str]:
    """By field, without an id that is empty."""
    return {field: value for field, value in zip(fields, row, strict=True) if value}
