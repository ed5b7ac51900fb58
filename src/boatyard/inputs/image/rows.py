"""Pictures out of a source's cells, and what is known of them before anything learns."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from boatyard.config.schema import Data
from boatyard.inputs.defaults import REPEATS, digest_of_start, groups  # noqa: F401 - for `training`
from boatyard.inputs.image.pictures import MOST_BYTES, Pixels, WrongPicture, read_header, read_picture
from boatyard.inputs.image.serving import FIELD, decode_base64
from boatyard.inputs.protocol import InvalidInput
from boatyard.inputs.training_protocol import Problem, RowFormat

SIZE_UNIT = "pixels of the longer side"
COST_UNIT = "pictures"
FILE = "file"
"""Of a source, the cell that names the picture; FIELD is where it lies, or its content."""
STATED_SIZE = "stated size"
"""Of a source, the cell with the width and the height that an annotation names."""

Row = Sequence[bytes]
"""One: the picture's file."""

_CANVAS = 320


def row_format(data: Data) -> RowFormat:  # noqa: ARG001 - every input's signature
    """The content of a picture's file."""
    return RowFormat({FIELD: pa.binary()}, _read, [FILE], extent=_extent)


def content_key(row: Row) -> bytes:
    """The file."""
    return row[0]


group_key = content_key  # those that only look the same: `alike`


def size(row: Row) -> int:
    """Its longer side."""
    header = read_header(row[0])
    return max(header.width, header.height)


def unservable(row: Row) -> str | None:
    """A file may be larger than a request."""
    large = len(row[0]) > MOST_BYTES
    return f"has {len(row[0]):,} bytes, and a server takes {MOST_BYTES:,}" if large else None


def show(row: Row) -> str:
    """Its format and size: a report that can, shows the canvas."""
    header = read_header(row[0])
    return f"{header.format} of {header.width} x {header.height}, {len(row[0]):,} bytes"


def canvas(row: Row) -> Pixels | None:
    """The picture, made smaller where it is large."""
    picture = read_picture(row[0], _CANVAS)
    picture.thumbnail((_CANVAS, _CANVAS))
    return np.asarray(picture)


def request(fields: Sequence[str], row: Row) -> dict[str, Any]:
    """As base64."""
    return {fields[0]: b64encode(row[0]).decode()}


def _read(cells: Mapping[str, Any]) -> tuple[bytes] | Problem:
    """A picture that can be decoded to its last line."""
    name, given = cells.get(FILE), cells.get(FIELD)
    try:
        content = _content(given)
        header = read_header(content)
        read_picture(content)
    except (WrongPicture, InvalidInput) as wrong:
        return Problem("picture", FIELD, f"{name} {wrong}" if name else str(wrong))
    except (OSError, ValueError) as error:  # ValueError: no file can have such a name
        missing = isinstance(error, FileNotFoundError)
        what = "there is no such file" if missing else f"it cannot be read ({getattr(error, 'strerror', error)})"
        return Problem("missing_file", FIELD, f"names {name}: {what}")
    stated = cells.get(STATED_SIZE)
    if stated is not None and tuple(stated) != (header.width, header.height):
        shown = " x ".join(map(str, stated))
        return Problem("size", FIELD, f"is said to have {shown} pixels, but has {header.width} x {header.height}")
    return (content,)


def _content(given: object) -> bytes:
    if isinstance(given, Path):
        return given.read_bytes()
    if isinstance(given, Mapping):  # as data sets on the Hub have it
        given = dict(given).get("bytes")
    if isinstance(given, bytes):
        return given
    if not isinstance(given, str) or not given:
        raise WrongPicture("holds no picture")
    return decode_base64(given)


def _extent(row: Row) -> tuple[int, int]:
    header = read_header(row[0])
    return header.width, header.height
