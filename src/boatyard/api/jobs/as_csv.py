"""A job's answers as CSV (RFC 4180, UTF-8): a column for each value of an answer, the same for all jobs of a version.

A cell is what JSON has: a number or a truth value as JSON writes it, a text as it is, nothing for null. A list, and an
object whose schema does not name its properties, is a cell of JSON. Texts are never changed: programs read this, and
what a spreadsheet would take for a formula may be a label.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pydantic_core import from_json, to_json

_Path = tuple[str, ...]


class AsCsv:
    """The CSV of answers with such a JSON Schema. `places`: what says of a row which it is, besides `row` and `id`."""

    def __init__(self, answer_schema: Mapping[str, Any], places: Sequence[str] = ()) -> None:
        first: list[_Path] = [("row",), ("id",), *((place,) for place in places)]
        self._paths: list[_Path] = [*first, *_paths(answer_schema), ("truncated",), ("error",)]

    @property
    def header(self) -> bytes:
        """The names of the columns; that of a nested value is dotted."""
        return _write([[".".join(path) for path in self._paths]])

    def rows(self, lines: bytes) -> bytes:
        """Of JSON Lines, a row for each."""
        answers = (from_json(line) for line in lines.splitlines())
        return _write([_cell(answer, path) for path in self._paths] for answer in answers)


def _paths(schema: Mapping[str, Any]) -> Iterator[_Path]:
    """To each value that is no object, and to each object whose properties are not named."""
    for name, part in schema.get("properties", {}).items():
        inner = list(_paths(part)) or [()]
        yield from ((name, *path) for path in inner)


def _cell(value: Any, path: _Path) -> str:
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    if value is None:
        return ""
    return value if isinstance(value, str) else to_json(value).decode()


def _write(rows: Iterable[list[str]]) -> bytes:
    written = io.StringIO()
    csv.writer(written).writerows(rows)
    return written.getvalue().encode()
