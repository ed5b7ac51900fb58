"""Draws what was found on a picture."""

from collections.abc import Sequence
from io import BytesIO

from PIL import ImageDraw, ImageFont

from boatyard.inputs.image.pictures import read_header, read_picture
from boatyard.inputs.protocol import Mark

SMALLEST, LARGEST = 640, 1280
"""Pixels of the longer side."""
COLOURS = ("#4269d0", "#b77400", "#d1402e", "#1f8f7c", "#2e8a3d", "#d64a8c", "#8347d1", "#4f7fd6", "#9c6b4e")
"""On which white letters can be read."""

_LONGEST_NAME = 32
_QUALITY = 90


def draw(content: bytes, marks: Sequence[Mark]) -> bytes:
    """A JPEG of the picture, made smaller where it is large, and larger where letters would not fit.

    Raises WrongPicture.
    """
    picture = read_picture(content, LARGEST)
    longer = max(picture.size)
    zoom = min(max(longer, SMALLEST), LARGEST) / longer
    picture = picture.resize((max(1, round(picture.width * zoom)), max(1, round(picture.height * zoom))))
    scale = picture.width / read_header(content).width
    pen, colours = ImageDraw.Draw(picture), dict[str, str]()
    width = max(1, round(max(picture.size) / 300))
    high = max(9, round(max(picture.size) / 55))
    font = ImageFont.load_default(high)
    for mark in reversed(marks):  # the surest above the others
        colour = colours.setdefault(mark.name, COLOURS[len(colours) % len(COLOURS)])
        left, top, right, bottom = (scale * edge for edge in mark[2:])
        pen.rectangle((left, top, max(left, right), max(top, bottom)), outline=colour, width=width)
        said = f"{_one_line(mark.name)} {mark.score:.2f}"
        label = pen.textbbox((left, top), said, font=font, anchor="lb" if top > high else "lt")
        pen.rectangle(label, fill=colour)
        pen.text(label[:2], said, font=font, fill="#fff", anchor="lt")
    drawn = BytesIO()
    picture.save(drawn, "JPEG", quality=_QUALITY)
    return drawn.getvalue()


def _one_line(name: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in name[:_LONGEST_NAME])
