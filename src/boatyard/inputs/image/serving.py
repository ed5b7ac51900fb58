"""Answers requests with a picture: as it is, or as base64 in JSON."""

import json
from base64 import b64decode, b64encode
from binascii import Error
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from boatyard.bundle.manifest import BundleError, Manifest
from boatyard.inputs import archives
from boatyard.inputs.arrays import ArrayInput, ArrayRow, EncodedArrays
from boatyard.inputs.image import overlay, pictures
from boatyard.inputs.image.pictures import Header, WrongPicture, letterbox, read_header, read_picture
from boatyard.inputs.protocol import Feeds, InvalidInput, Mark, pointer_to
from boatyard.inputs.records import Record
from boatyard.journal.columns import Column

FIELD = "image"
PIXELS, EXTENT = "pixels", "extent"
"""Of a graph: uint8[rows, side, side, 3], and the width and height of the picture as it was sent, int64[rows, 2]."""
FILE, SIDE = "image.json", "side"
"""Of a bundle, and in it the side of the square that the network reads."""

LARGEST_SIDE = 4096
Row = Sequence[bytes]

FILES = (FILE,)
MOST_RAW_BYTES = pictures.MOST_BYTES
MOST_BYTES = 7 * 1024 * 1024  # of a request in JSON: base64 takes a third more than the picture itself
SLOW_PARSE = True

_LINE_ENDS = str.maketrans("", "", "\r\n")  # many write base64 in lines


def _as_json(body: bytes) -> object:
    return {FIELD: b64encode(body).decode()}


MEDIA_TYPES: Mapping[str, Callable[[bytes], object]] = dict.fromkeys(pictures.MEDIA_TYPES.values(), _as_json)
FILE_FORMATS: Mapping[str, Callable[[Iterable[bytes]], Iterator[Record]]] = {
    archives.MEDIA_TYPE: partial(archives.read_archive, most_bytes=pictures.MOST_BYTES, read=_as_json)
}
SUFFIXES = {**pictures.MEDIA_TYPE_OF, ".zip": archives.MEDIA_TYPE}


def draw(request: Mapping[str, Any], marks: Sequence[Mark]) -> bytes:
    """The picture with its marks, as a JPEG."""
    return overlay.draw(decode_base64(request[FIELD]), marks)


def open_input(folder: Path, manifest: Manifest) -> "ImageInput":
    """Reads `image.json`."""
    try:
        return ImageInput(read_side(folder))
    except (OSError, ValueError) as wrong:
        raise BundleError(f"{folder / FILE} of {manifest.name} cannot be read: {wrong}") from wrong


def read_side(folder: Path) -> int:
    """Raises OSError, or ValueError where the file does not say it."""
    content = json.loads((folder / FILE).read_text(encoding="utf-8"))
    side = content.get(SIDE) if isinstance(content, dict) else None
    if not isinstance(side, int) or not 1 <= side <= LARGEST_SIDE:
        raise ValueError(f"it names no {SIDE!r} between 1 and {LARGEST_SIDE:,}")
    return side


def decode_base64(text: str) -> bytes:
    """Raises InvalidInput. A data URL is taken too."""
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        return b64decode(text.translate(_LINE_ENDS), validate=True)
    except (Error, ValueError):
        raise InvalidInput(f'"{FIELD}" must be a picture as base64', pointer_to(FIELD)) from None


class SentPicture(bytes):
    """A picture's file, with what the network reads of it: that of a request is decoded once."""

    encoded: EncodedArrays


@dataclass(frozen=True, slots=True)
class KeptPicture:
    """A picture's file that is decoded whenever it is read: of thousands of rows, few squares are in memory at once."""

    content: bytes
    decode: Callable[[bytes], EncodedArrays]
    truncated: bool = False
    cost: int = 1

    @property
    def arrays(self) -> Feeds:
        """PIXELS and EXTENT."""
        return self.decode(self.content).arrays

    @property
    def measured(self) -> Mapping[str, Any]:
        """By its header."""
        return _measured(read_header(self.content))


class ImageInput(ArrayInput):
    """Pictures as squares of `side` pixels."""

    measured = (
        Column("width", "the picture's width in pixels"),
        Column("height", "the picture's height in pixels"),
        Column("format", "the picture's format", category=True),
    )
    described = (
        Column("aspect", "the picture's width by its height"),
        Column("brightness", "the mean of all greys, 0 to 255"),
        Column("contrast", "the standard deviation of all greys"),
        Column("colourfulness", "how far colours are from grey (Hasler and Suesstrunk 2003)"),
        Column("sharpness", "the logarithm of the variance of the Laplacian of the greys"),
        Column("clipped", "the share of pixels that are all black or all white"),
    )

    def __init__(self, side: int) -> None:
        self.side = side

    def parse(self, payload: object) -> tuple[bytes]:
        """The picture's file, already decoded: a SentPicture."""
        if not isinstance(payload, dict) or payload.keys() != {FIELD}:
            raise InvalidInput(f'the input must be an object with an "{FIELD}", and nothing else')
        if not isinstance(payload[FIELD], str):
            raise InvalidInput(f'"{FIELD}" must be a picture as base64', pointer_to(FIELD))
        content = SentPicture(decode_base64(payload[FIELD]))
        try:
            content.encoded = self._decode(content)
        except WrongPicture as wrong:
            raise InvalidInput(f"the picture {wrong}", pointer_to(FIELD)) from None
        return (content,)

    def encode_row(self, row: Row) -> ArrayRow:
        """PIXELS and EXTENT."""
        return row[0].encoded if isinstance(row[0], SentPicture) else KeptPicture(row[0], self._decode)

    def _decode(self, content: bytes) -> EncodedArrays:
        header = read_header(content)
        extent = np.array([header.width, header.height])
        arrays = {PIXELS: letterbox(read_picture(content, self.side), self.side), EXTENT: extent}
        return EncodedArrays(arrays, _measured(header))

    def describe(self, rows: Sequence[Row], encoded: Sequence[ArrayRow]) -> dict[str, list[Any]]:  # noqa: ARG002
        """Of the letterbox, less its margins, so that a picture's size does not matter."""
        looks = [
            {"aspect": float(width / height), **look_of(_within(arrays[PIXELS], (width, height)))}
            for arrays in (row.arrays for row in encoded)
            for width, height in [arrays[EXTENT]]
        ]
        return {column.name: [look[column.name] for look in looks] for column in self.described}


def _measured(header: Header) -> dict[str, Any]:
    return {"width": header.width, "height": header.height, "format": header.format}


def look_of(pixels: pictures.Pixels) -> dict[str, float]:
    """What is seen without knowing what is shown; by the names of the columns."""
    colours = pixels.astype(np.float64)
    grey = colours @ (0.299, 0.587, 0.114)
    red_green = colours[..., 0] - colours[..., 1]
    yellow_blue = (colours[..., 0] + colours[..., 1]) / 2 - colours[..., 2]
    spread = np.hypot(red_green.std(), yellow_blue.std())
    middle = np.hypot(red_green.mean(), yellow_blue.mean())
    padded = np.pad(grey, 1, mode="edge")
    laplacian = padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:] - 4 * grey
    clipped = (pixels == 0).all(-1) | (pixels == 255).all(-1)
    return {
        "brightness": float(grey.mean()),
        "contrast": float(grey.std()),
        "colourfulness": float(spread + 0.3 * middle),
        "sharpness": float(np.log1p(laplacian.var())),
        "clipped": float(clipped.mean()),
    }


def _within(pixels: pictures.Pixels, extent: Any) -> pictures.Pixels:
    left, top, width, height = pictures.place_in_square(int(extent[0]), int(extent[1]), len(pixels))
    return pixels[top : top + height, left : left + width]
