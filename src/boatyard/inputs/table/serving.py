"""Answers requests with a row of a table: an object with a value for each column."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from boatyard.bundle.manifest import BundleError, Manifest
from boatyard.config.errors import suggestion
from boatyard.inputs.arrays import ArrayInput, ArrayRow, EncodedArrays
from boatyard.inputs.protocol import InvalidInput, Parts, pointer_to
from boatyard.inputs.records import Record
from boatyard.inputs.table import columns as of_table
from boatyard.inputs.table import parts
from boatyard.inputs.table.cells import LONGEST, Value, WrongCell, read_cell
from boatyard.inputs.table.columns import Column, Columns, Row, read_columns
from boatyard.inputs.table.parts import read_background, take_apart
from boatyard.journal import columns as journal

FILES = (of_table.FILE, parts.FILE)
MEDIA_TYPES: Mapping[str, Callable[[bytes], object]] = {}
FILE_FORMATS: Mapping[str, Callable[[Iterable[bytes]], Iterator[Record]]] = {}
_ECHOED_CHARACTERS = 40


def open_input(folder: Path, manifest: Manifest) -> "TableInput":
    """Reads `columns.json` and `background.json`."""
    name = of_table.FILE
    try:
        columns = read_columns(folder)
        name = parts.FILE
        background = read_background(folder, len(columns.columns))
    except (OSError, ValueError) as wrong:
        raise BundleError(f"{folder / name} of {manifest.name} cannot be read: {wrong}") from wrong
    return TableInput(columns, background)


def request_schema(columns: Columns) -> dict[str, Any]:
    """The JSON Schema of one request. A column that each training row has must be named, if only as null."""
    return {
        "type": "object",
        "properties": {column.name: _property(column) for column in columns.columns},
        "required": [column.name for column in columns.columns if column.always],
        "additionalProperties": False,
    }


class TableInput(ArrayInput):
    """The columns of a bundle. `background`: rows of others, which explain an answer; training does without."""

    measured = (journal.Column("missing", "the number of missing values"),)

    def __init__(self, columns: Columns, background: Sequence[Row] = ()) -> None:
        self.columns = columns
        self._background = background
        self.described = tuple(
            journal.Column(_described(column), f"the column {column.name}", category=column.kind != "number")
            for column in columns.columns
            if column.kind != "date"  # which moves on by itself
        )

    def parse(self, payload: object) -> Row:
        """A value for each column; a number may be a text of digits, as a cell of CSV has it."""
        if not isinstance(payload, dict):
            raise InvalidInput("the input must be an object with a value for each column")
        for field in payload.keys() - self.columns.by_name.keys():
            raise InvalidInput(self._unknown(str(field)))
        row = tuple(self._value(payload, column) for column in self.columns.columns)
        if all(value is None for value in row):
            raise InvalidInput("the input has no value: each column is missing")
        return row

    def encode_row(self, row: Row) -> EncodedArrays:
        """`numbers` and `categories`."""
        return EncodedArrays(self.columns.arrays(row), {"missing": sum(value is None for value in row)})

    def describe(self, rows: Sequence[Row], encoded: Sequence[ArrayRow]) -> dict[str, list[Any]]:  # noqa: ARG002
        """Each column but the dates; a category that is missing is "", a number NaN."""
        return {
            _described(column): [_description(column, value) for value in values]
            for column, values in zip(self.columns.columns, zip(*rows, strict=True), strict=True)
            if column.kind != "date"
        }

    def parts(self, row: Row) -> Parts[Row]:
        """The columns."""
        return take_apart(self.columns.names, row, self._background)

    def _value(self, payload: Mapping[Any, Any], column: Column) -> Value:
        pointer = pointer_to(column.name)
        if column.name not in payload:
            if column.always:
                raise InvalidInput(f'"{column.name}" is missing; it may be null where it is not known', pointer)
            return None
        try:
            return read_cell(payload[column.name], column.kind, self.columns.missing)
        except WrongCell as wrong:
            raise InvalidInput(f'"{column.name}" {wrong}', pointer) from None

    def _unknown(self, field: str) -> str:
        # the name is the client's and may be of any length
        shown = field[:_ECHOED_CHARACTERS]
        return f"unknown field {shown!r}; {suggestion(shown, self.columns.names)}"


def _property(column: Column) -> dict[str, Any]:
    match column.kind:
        case "number":
            kind: dict[str, Any] = {"type": ["number", "null"]}
        case "truth":
            kind = {"type": ["boolean", "null"]}
        case "date":
            kind = {"type": ["string", "null"], "format": "date"}
        case "category":
            kind = {"type": ["string", "null"], "maxLength": LONGEST, "examples": list(column.levels)}
    if column.lowest is not None:
        kind["description"] = f"{_shown(column.lowest)} to {_shown(column.highest)} in training"
    return kind


def _shown(value: Value) -> str:
    return f"{value:.15g}" if isinstance(value, float) else str(value)


def _described(column: Column) -> str:
    """Apart from the names of what the task answers."""
    return f"input.{column.name}"


def _description(column: Column, value: Value) -> float | str:
    if column.kind == "number":
        return float("nan") if value is None else float(value)
    if value is None:
        return ""
    return str(value).lower() if column.kind == "truth" else str(value)
