"""Columns of Parquet as Python values, for training and for scoring alike, and as they can be written again."""

from typing import Any

import pyarrow as pa
from pyarrow import types

_NOT_IN_PYTHON = (ArithmeticError, LookupError, ValueError, pa.ArrowException)


class OutOfRange:
    """A value that Arrow has and Python has not, such as a date after the year 9999: no column of a model takes it."""

    def __init__(self, kind: pa.DataType) -> None:
        self._kind = str(kind)

    def __repr__(self) -> str:
        return f"a {self._kind} out of range"


def cells(column: Any) -> list[Any]:
    """The values of an Arrow column. In its strings invalid UTF-8 is decoded with surrogateescape."""
    try:
        values: list[Any] = column.to_pylist()
    except _NOT_IN_PYTHON:
        return [_cell(scalar) for scalar in column]
    return values


def _cell(scalar: Any) -> Any:
    try:
        return scalar.as_py()
    except UnicodeDecodeError:
        if _is_string(scalar.type):
            return scalar.cast(pa.binary()).as_py().decode("utf-8", "surrogateescape")
        return OutOfRange(scalar.type)  # a list of them, which no model reads
    except _NOT_IN_PYTHON:
        return OutOfRange(scalar.type)


def readable_strings(column: Any) -> Any:
    """The same Arrow array, with U+FFFD for what is not UTF-8 in its strings, however deep they lie."""
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        return _readable(pa.concat_arrays([column]))  # without an offset, which its parts would not have
    return column


def _readable(column: Any) -> Any:
    kind = column.type
    if _is_string(kind):
        written = column.cast(pa.binary()).to_pylist()
        return pa.array([None if cell is None else cell.decode("utf-8", "replace") for cell in written], kind)
    if types.is_list(kind) or types.is_large_list(kind):
        values = readable_strings(column.values)
        return type(column).from_arrays(column.offsets, values, kind, mask=column.is_null())
    if types.is_struct(kind):
        parts = [readable_strings(part) for part in column.flatten()]
        return pa.StructArray.from_arrays(parts, fields=list(kind), mask=column.is_null())
    return column


def _is_string(kind: pa.DataType) -> bool:
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))
