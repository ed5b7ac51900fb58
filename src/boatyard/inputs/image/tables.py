"""A table that names the picture's file in each row, from its own folder.

Where there are boxes, each has a row: `label`, `x0`, `y0`, `x1`, `y1`, or corners as `xmin` and the like. A row with a
file alone is a picture in which nothing is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from boatyard.config.errors import UserError
from boatyard.inputs.image.layout import Layout, digest, pictures_in, surplus
from boatyard.inputs.image.rows import FILE
from boatyard.inputs.image.serving import FIELD
from boatyard.inputs.sources import SPLIT_NAMES, TABLE_SUFFIXES, open_tables
from boatyard.inputs.texts import normal_form
from boatyard.inputs.training_protocol import Source, SourceRow

_CORNERS = (("x0", "y0", "x1", "y1"), ("xmin", "ymin", "xmax", "ymax"))
_LABELS = ("label", "class", "name")
_KEYS = "data.file_column and data.target"
_LISTED = 5


def layout(path: Path, data: Any, columns: Sequence[str]) -> Layout | None:
    """None where there is no table."""
    if path.is_dir():
        there = sorted(each for each in path.iterdir() if each.suffix.lower() in TABLE_SUFFIXES)
        if not there:
            return None
        if len(there) > 1 and not any(SPLIT_NAMES.get(each.stem.lower()) == "train" for each in there):
            raise UserError(_undecided(path, [each.name for each in there]))
        path = there[0] if len(there) == 1 else path
    root = path if path.is_dir() else path.parent
    target, file = normal_form(data.target), normal_form(data.file_column)
    placed = data.model_copy(update={"path": str(path)})
    others = [column for column in columns if column not in (FILE, target)]
    sources, said_of = list[Source](), set[Path]()
    for source in open_tables(placed, [file, *others], path, _KEYS, others=True):
        first = next((row.cells for row in source.rows() if row.wrong is None), {})
        if target in first:
            read = partial(_one_each, source, root, file)
        else:
            corners = _corners(first, source.name, target)
            read = partial(_boxes, source, root, file, target, corners)
        files = [root / str(row.cells.get(file)) for row in source.rows() if row.wrong is None and row.cells.get(file)]
        said_of.update(files)
        sources.append(replace(source, digest=digest(root, dict.fromkeys(files), source.digest), rows=read))
    return Layout(sources, surplus(root, pictures_in(root), said_of))


def _undecided(folder: Path, names: Sequence[str]) -> str:
    listed = ", ".join(names[:_LISTED]) + (" and others" if len(names) > _LISTED else "")
    return (
        f"{folder}: has several tables, {listed}; say which one names the pictures, as in "
        f"data.path={folder / names[0]}, or call them train, validation and test, one for each split"
    )


def _one_each(source: Source, root: Path, file: str) -> Iterator[SourceRow]:
    """A picture for each row."""
    for row in source.rows():
        yield row if row.wrong is not None else replace_cells(row, _picture(row.cells, root, file))


def _boxes(source: Source, root: Path, file: str, target: str, columns: Sequence[str]) -> Iterator[SourceRow]:
    """A picture for all rows that name its file, where the first of them is."""
    pictures: dict[str, SourceRow] = {}
    objects: dict[str, list[dict[str, Any]]] = {}
    for row in source.rows():
        if row.wrong is not None:
            yield row
            continue
        name = str(row.cells.get(file) or "")
        pictures.setdefault(name, row)
        of_picture = objects.setdefault(name, [])
        label, *box = (row.cells.get(column) for column in columns)
        if not all(each in (None, "") for each in (label, *box)):
            of_picture.append({"label": label, "box": [_number(each) for each in box], "row": row.number})
    for name, row in pictures.items():
        yield replace_cells(row, {**_picture(row.cells, root, file), target: objects[name]})


def replace_cells(row: SourceRow, cells: Mapping[str, Any]) -> SourceRow:
    """The row with these cells."""
    return row._replace(cells={**row.cells, **cells})


def _picture(cells: Mapping[str, Any], root: Path, file: str) -> dict[str, Any]:
    name = str(cells.get(file) or "")
    return {FILE: name, FIELD: root / name if name else None}


def _corners(cells: Mapping[str, Any], name: str, target: str) -> list[str]:
    """The columns of a box: its label and its edges. Raises UserError."""
    for edges in _CORNERS:
        for label in _LABELS:
            if {label, *edges} <= cells.keys():
                return [label, *edges]
    raise UserError(
        f"{name}: has neither a column {target!r} nor the columns of a box, label, x0, y0, x1, y1; its columns are "
        f"{', '.join(map(repr, cells)) or 'none'}"
    )


def _number(cell: Any) -> Any:
    try:
        return float(cell)
    except (TypeError, ValueError):
        return cell
