"""What a row of text is before any tokenizer: its columns, its texts, and when two rows say the same."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa

from boatyard.config.errors import UserError
from boatyard.config.schema import Data
from boatyard.inputs import texts
from boatyard.inputs.defaults import (  # noqa: F401 - for `training`
    canvas,
    groups,
    relatives,
    settle,
)
from boatyard.inputs.records import NOT_UTF_8
from boatyard.inputs.sources import open_tables
from boatyard.inputs.text.serving import MOST_CHARACTERS
from boatyard.inputs.training_protocol import OWN, Problem, RowFormat, Source

REPEATS = "error"
SIZE_UNIT = "words"


def open_sources(data: Data, columns: Sequence[str], cache: Path) -> list[Source]:
    """Tables."""
    return open_tables(data, columns, cache, "data.text_columns and data.target")


def row_format(data: Any) -> RowFormat:
    """One text is the field `text`, two are fields by the names of their columns; each must say something."""
    names = columns(data)
    fields = _fields(names)

    def read(cells: Mapping[str, Any]) -> tuple[str, ...] | Problem:
        row = tuple(map(cells.get, names))
        for text, column in zip(row, names, strict=True):
            if (problem := check_text(text, column)) is not None:
                return problem
        return row  # type: ignore[return-value]  # each was checked

    stored = {"text_columns": list(data.text_columns) if len(names) > 1 else fields}
    return RowFormat(dict.fromkeys(fields, pa.string()), read, names, stored)


def _fields(names: list[str]) -> list[str]:
    if len(names) == 1:
        return ["text"]
    for name in names:
        if name.startswith(OWN):
            raise UserError(f"data.text_columns: {name!r} is boatyard's own name; rename the column")
    if names[0] == names[1]:
        raise UserError(f"data.text_columns: {names[0]!r} is given twice")
    return names


def check_text(text: object, column: str) -> Problem | None:
    """What is wrong with a cell that must hold a text."""
    if text is None:
        return Problem("missing_column", column, "has no value; every row needs one")
    if not isinstance(text, str):
        return Problem("not_text", column, f"holds a {type(text).__name__}; expected text")
    if texts.is_blank(text):
        return Problem("empty", column, "is empty; every row needs a text")
    if not texts.is_encodable(text):
        undecoded = texts.UNDECODABLE.search(text) is not None
        what = f"bytes that are {NOT_UTF_8}" if undecoded else "half of a surrogate pair, which is no character"
        return Problem("bad_bytes", column, f"holds {what}")
    return None


def content_key(row: Sequence[str]) -> bytes:
    """The texts to the letter, however accents were typed."""
    return texts.composed("\0".join(row)).encode()


def group_key(row: Sequence[str]) -> bytes:
    """The words without case, punctuation and space; the texts themselves where they have none."""
    return " ".join(_words(tuple(row))).encode() or content_key(row)


def size(row: Sequence[str]) -> int:
    """In words."""
    return len(_words(tuple(row)))


def unservable(row: Sequence[str]) -> str | None:
    """Only the length: what else a server refuses, training refuses too."""
    longest = max(map(len, row))
    return None if longest <= MOST_CHARACTERS else f"has {longest:,} characters, and a server takes {MOST_CHARACTERS:,}"


def show(row: Sequence[str]) -> str:
    """The texts on one line."""
    return " | ".join(row)


def request(fields: Sequence[str], row: Sequence[str]) -> dict[str, str]:
    """By field."""
    return dict(zip(fields, row, strict=True))


def columns(data: Any) -> list[str]:
    """The texts', in the order in which the model reads them."""
    names = [texts.normal_form(column) for column in data.text_columns]
    for column in names:
        if not column:
            raise UserError("data.text_columns: a column without a name cannot be read; name it in the file's header")
        for key, other in (("target", data.target), ("split_column", data.split_column)):
            if other is not None and texts.normal_form(other) == column:
                raise UserError(f"data.text_columns: {column!r} is data.{key} too; a text and it are two columns")
    return names


@lru_cache(1)  # a row's group and its size are asked for in turn
def _words(row: tuple[str, ...]) -> list[str]:
    return [word for text in row for word in texts.words(text)]
