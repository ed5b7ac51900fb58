"""Where pictures and what is said of them lie, told by what is there.

- a folder with `Annotations` and `JPEGImages`: PASCAL VOC, whose `ImageSets/Main` split it
- COCO: a JSON file, or a folder with some, such as `annotations/instances_train2017.json`
- a table with a column for the file and one for the target, or a line for each box: its `label`, `x0`, `y0`, `x1`, `y1`
- a folder for each label, perhaps within `train`, `validation` and `test`

All yield the same cells: FILE, FIELD, the target's, and perhaps STATED_SIZE. A target that is boxes is a list of
`{"label": ..., "box": [x0, y0, x1, y1]}` in pixels of the picture as a viewer shows it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from boatyard.config.errors import UserError
from boatyard.config.schema import Data
from boatyard.inputs.image import coco, labelled, tables, voc
from boatyard.inputs.image.layout import Layout
from boatyard.inputs.image.rows import FILE
from boatyard.inputs.image.serving import FIELD
from boatyard.inputs.sources import TABLE_SUFFIXES, on_this_disk, open_tables
from boatyard.inputs.texts import normal_form
from boatyard.inputs.training_protocol import TARGET, Source

_LAYOUTS: Sequence[Callable[[Path, Any, Sequence[str]], Layout | None]] = (
    voc.layout,
    coco.layout,
    tables.layout,
    labelled.layout,
)


def open_sources(data: Data, columns: Sequence[str], cache: Path) -> list[Source]:
    """Of the first layout that fits."""
    return list(_layout(data, columns, cache).sources)


def _layout(data: Data, columns: Sequence[str], cache: Path) -> Layout:
    if data.path is None:
        raise UserError("data.path must be given: the folder that holds the pictures")
    path = on_this_disk(data.path, cache, TABLE_SUFFIXES)
    if not path.exists():
        raise UserError(f"data.path={data.path}: there is no such file or folder")
    if normal_form(data.target) == TARGET:  # written by Boatyard itself, the pictures as base64
        placed = data.model_copy(update={"path": str(path)})
        return Layout(open_tables(placed, [FIELD, *(each for each in columns if each != FILE)], cache, "data.target"))
    for layout in _LAYOUTS:
        if found := layout(path, data, columns):
            return found
    raise UserError(
        f"{data.path}: found no pictures there that something is said of; expected a folder for each label, PASCAL VOC "
        "(Annotations and JPEGImages), COCO (a JSON file), or a table with a column for the file"
    )


def settle(data: Data, sources: Sequence[Source], others: Sequence[str]) -> tuple[Data, dict[str, Any]]:  # noqa: ARG001
    """Nothing is left open; `surplus`: pictures of which nothing is said."""
    cache = Path()  # what lay in a bucket was copied when the sources were opened: its folder is not looked at again
    if data.path is None or data.path.startswith("gs://"):
        return data, {"surplus": []}
    return data, {"surplus": list(_layout(data, [data.target], cache).surplus)}
