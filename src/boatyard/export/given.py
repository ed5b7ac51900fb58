"""Rows that are no part of the data set: those of a file that `export` is given."""

from pathlib import Path
from typing import Any

from boatyard import inputs
from boatyard.config.errors import UserError, refusal
from boatyard.config.schema import Config
from boatyard.data.prepare import Prepared
from boatyard.data.stored import as_stored
from boatyard.inputs.training_protocol import Problem

KEYS = "reference", "examples"


def read_given_rows(config: Config, prepared: Prepared, key: str) -> list[Any] | None:
    """The rows of the file that this key of `export` names, which has what a request has; None where it names none.

    They are read as those of `data.path` are.

    Raises:
        UserError: it cannot be read, has no row, lacks a column, or has a row that cannot be used.
    """
    if (file := getattr(config.export, key)) is None:
        return None
    input_, data = inputs.training(config.data.input), as_stored(prepared.data, file)
    format_ = input_.row_format(data)
    try:
        sources = input_.open_sources(data, format_.columns, Path(config.paths.processed, "fetched"))
        source_rows = [row for source in sources for row in source.rows()]
    except (OSError, UserError) as wrong:
        why = refusal(wrong).removeprefix(f"data.path={file}: ")
        raise UserError(f"export.{key}={file} cannot be read: {why}") from None
    rows = []
    for source_row in source_rows:
        read = source_row.wrong or format_.read(source_row.cells)
        if isinstance(read, Problem):
            read = f"column {read.column!r} {read.message}" if read.column else read.message
        if isinstance(read, str):
            raise UserError(f"export.{key}={file}, row {source_row.number}: {read}")
        rows.append(read)
    if not rows:
        raise UserError(f"export.{key}={file} has no rows")
    return rows


def require_given_rows(config: Config, prepared: Prepared) -> None:
    """Before the network is trained, not after.

    Raises:
        UserError: a file that `export` names cannot be used, or a server takes none of its examples.
    """
    unservable = inputs.training(config.data.input).unservable
    for key in KEYS:
        rows = read_given_rows(config, prepared, key)
        if key == "examples" and rows is not None and all(reasons := [unservable(row) for row in rows]):
            raise UserError(f"export.examples={config.export.examples}: every row is too large; the first {reasons[0]}")
