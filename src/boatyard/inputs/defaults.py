"""What many inputs answer alike: their `training` says `from boatyard.inputs.defaults import *`, then what differs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from boatyard.inputs.protocol import InvalidInput, OpenInput, Problem

if TYPE_CHECKING:
    from boatyard.config.schema import Data, Model

__all__ = [
    "COST_UNIT",
    "SIZE_UNIT",
    "content_key",
    "digest_of_start",
    "group_key",
    "limits",
    "make_inputs",
    "request",
    "show",
    "size",
    "stored_data",
    "unservable",
]

COST_UNIT = "rows"
SIZE_UNIT = "bytes"


def content_key(row: Sequence[Any]) -> bytes:
    """The row as JSON."""
    return json.dumps(row, ensure_ascii=False).encode()


def group_key(row: Sequence[Any]) -> bytes:
    """Its content: rows that differ say different things."""
    return content_key(row)


def size(row: Sequence[Any]) -> int:
    """Of its content."""
    return len(content_key(row))


def unservable(row: Sequence[Any]) -> str | None:  # noqa: ARG001 - every input's signature
    """None: a server takes each row that training does."""
    return None


def show(row: Sequence[Any]) -> str:
    """The fields on one line."""
    return " | ".join(" ".join(map(str, field)) if isinstance(field, list) else str(field) for field in row)


def request(fields: Sequence[str], row: Sequence[Any]) -> dict[str, Any]:
    """The fields by name."""
    return dict(zip(fields, row, strict=True))


def stored_data(data: Data) -> dict[str, Any]:  # noqa: ARG001 - every input's signature
    """None: `reader` takes a request as it is."""
    return {}


def limits(model: Model) -> dict[str, int]:  # noqa: ARG001 - every input's signature
    """No limits but those of every request."""
    return {}


def make_inputs(model: Model, fields: Sequence[str], rows: Iterable[Sequence[Any]], folder: Path) -> None:
    """No files: nothing is learnt from rows before they are encoded."""


def digest_of_start(model: Model) -> dict[str, str]:  # noqa: ARG001 - every input's signature
    """No files: the network starts from random weights."""
    return {}


# ---- to be used by name


def reader_as_served(
    served: OpenInput[Any, Any], column: str
) -> Callable[[Mapping[str, Any]], tuple[Any, ...] | Problem]:
    """For `reader`: the row that a server makes of the cells; what it refuses is a problem of the `column`."""

    def read(cells: Mapping[str, Any]) -> tuple[Any, ...] | Problem:
        try:
            row: tuple[Any, ...] = served.parse(cells)
        except InvalidInput as wrong:
            return Problem("unservable", column, f"cannot be used: {wrong.detail}")
        return row

    return read
