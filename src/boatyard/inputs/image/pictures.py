"""Reads a picture as a viewer shows it, alike where rows are prepared and where they are answered.

Pillow alone would make 16-bit greys white, drop transparency, leave a photo lying on its side, and decode whatever a
header promises.
"""

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from PIL.Image import Resampling, Transpose

Pixels = NDArray[np.uint8]
"""[height, width, 3], red, green and blue."""

MEDIA_TYPES = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}
"""By Pillow's name of the format."""
MEDIA_TYPE_OF = {".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png", ".webp": "image/webp"}
SUFFIXES = tuple(MEDIA_TYPE_OF)
MOST_BYTES = 5 * 1024 * 1024
MOST_PIXELS = 25_000_000
MOST_ASPECT = 50
PADDING = 128

_Done = TypeVar("_Done")
_ORIENTATION = 0x0112  # of EXIF
_TURNS = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}
_ON_ITS_SIDE = (5, 6, 7, 8)


class WrongPicture(ValueError):  # noqa: N818 - says what it is
    """Bytes that are no picture, or none that is read; goes on from its name, as in "cat.jpg *is cut off*"."""


@dataclass(frozen=True)
class Header:
    """What a picture says of itself before it is decoded. `width` and `height`: as it is shown."""

    format: str
    width: int
    height: int


def read_header(content: bytes) -> Header:
    """Raises WrongPicture; a picture that is cut off further on is none yet."""
    picture, turn = _open(content)
    width, height = picture.size
    return Header(_format(picture), *((height, width) if turn in _ON_ITS_SIDE else (width, height)))


def read_picture(content: bytes, enough: int | None = None) -> Image.Image:
    """All of it, as RGB. Transparent parts are on white.

    `enough`: a side beyond which no detail is needed; the picture may be smaller than its header says, not than that.

    Raises:
        WrongPicture: it is no JPEG, PNG or WebP, too large, animated, or damaged.
    """
    picture, turn = _open(content)
    if enough is not None:
        picture.draft("RGB", (enough, enough))  # only JPEG can
    _tried(picture.load)
    shown = _as_rgb(picture)
    return shown.transpose(_TURNS[turn]) if turn in _TURNS else shown


def letterbox(picture: Image.Image, side: int) -> Pixels:
    """The picture as large as fits a square of so many pixels, in its middle, on grey."""
    square = np.full((side, side, 3), PADDING, np.uint8)
    left, top, width, height = place_in_square(*picture.size, side)
    square[top : top + height, left : left + width] = np.asarray(picture.resize((width, height), Resampling.BILINEAR))
    return square


def place_in_square(width: int, height: int, side: int) -> tuple[int, int, int, int]:
    """Left, top, width and height of a picture of that size in a letterbox."""
    longer = max(width, height)
    fitted = max(1, round(width * side / longer)), max(1, round(height * side / longer))
    return (side - fitted[0]) // 2, (side - fitted[1]) // 2, *fitted


def _open(content: bytes) -> tuple[Image.Image, int]:
    """The picture, not yet decoded, and its orientation as EXIF numbers it. Raises WrongPicture."""
    if not content:
        raise WrongPicture("is empty")
    try:
        picture = Image.open(BytesIO(content), formats=list(MEDIA_TYPES))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise WrongPicture(f"has more than {MOST_PIXELS:,} pixels") from None
    except UnidentifiedImageError:
        raise WrongPicture("is no JPEG, PNG or WebP picture") from None
    except Exception as error:
        raise _damaged(error) from None
    width, height = picture.size
    if width * height > MOST_PIXELS:
        raise WrongPicture(f"has {width:,} x {height:,} pixels; at most {MOST_PIXELS:,} are read")
    if max(width, height) > MOST_ASPECT * min(width, height):
        raise WrongPicture(f"has {width:,} x {height:,} pixels: one side is more than {MOST_ASPECT} times the other")
    if _format(picture) != "JPEG" and getattr(picture, "is_animated", False):
        raise WrongPicture("is animated; send a single frame")
    try:
        turn = int(picture.getexif().get(_ORIENTATION, 1))
    except Exception:  # whatever is wrong with EXIF, the picture itself may be fine
        turn = 1
    return picture, turn


def _format(picture: Image.Image) -> str:
    return "JPEG" if picture.format == "MPO" else str(picture.format)  # a phone's JPEG with further ones behind it


def _as_rgb(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith(("I", "F")):  # 16 bits of grey
        grey = np.asarray(picture, np.float64) / 257
        return Image.fromarray(np.uint8(np.clip(grey.round(), 0, 255))).convert("RGB")
    if picture.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in picture.info:
        with_alpha = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(white, with_alpha).convert("RGB")
    return picture.convert("RGB")


def _tried(decode: Callable[[], _Done]) -> _Done:
    try:
        return decode()
    except Exception as error:  # Pillow's decoders raise of many kinds where a file is damaged
        raise _damaged(error) from None


def _damaged(error: Exception) -> WrongPicture:
    reason: Any = str(error).strip().partition("\n")[0] or type(error).__name__
    return WrongPicture(f"is damaged or cut off ({reason})")
