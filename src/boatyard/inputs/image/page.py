"""How pictures are chosen, photographed, shown and drawn on; on the last of these, marking.js draws and listens."""

from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from html import escape
from io import BytesIO
from pathlib import Path
from typing import Any

import streamlit as st
from PIL import Image

from boatyard.frontend.input_page import explain  # noqa: F401 - the page's own, too
from boatyard.frontend.protocol import Card, Marks, Request
from boatyard.inputs.image.overlay import COLOURS, LARGEST
from boatyard.inputs.image.pictures import MOST_BYTES, SUFFIXES, read_picture

NOUN = "picture"
FILE_TYPES: Mapping[str, str] = {"zip": "application/zip"}

_FIELD = "image"
_EXAMPLE, _TURN = "picture-example", "picture-turn"
_LETTERS = 3.2  # their size in hundredths of the longer side, to be read on a phone
_LONGEST_NAME = 40

_MARKING = Path(__file__).with_name("marking.js")
_marking = st.components.v2.component(
    "boatyard.marking",
    html='<div class="marking"></div>',
    css=_MARKING.with_suffix(".css").read_text(encoding="utf-8"),
    js=_MARKING.read_text(encoding="utf-8"),
)


def form(card: Card) -> Request:  # noqa: ARG001 - every page's signature
    """A file that is dropped or a photo that is taken; until there is one, the example that was chosen last."""
    turn = st.session_state.get(_TURN, 0)  # an example empties the widgets: new ones take their place
    suffixes = [suffix.removeprefix(".") for suffix in SUFFIXES]
    most = MOST_BYTES // 2**20
    file = st.file_uploader(
        "A JPEG, PNG or WebP picture", type=suffixes, key=f"picture-file-{turn}", max_upload_size=most
    )
    photo = None
    # a browser asks whether the page may see the camera as soon as that is on it
    camera = st.expander(
        "Take a photo", icon=":material/photo_camera:", key=f"picture-camera-{turn}", on_change="rerun"
    )
    with camera:
        if camera.open:
            photo = st.camera_input("Photo", key=f"picture-photo-{turn}", label_visibility="collapsed")
    if (chosen := file or photo) is not None:
        return {_FIELD: b64encode(chosen.getvalue()).decode()}
    return {_FIELD: st.session_state.get(_EXAMPLE, "")}


def fill(example: Request) -> None:
    """It takes the place of what was chosen before."""
    st.session_state[_EXAMPLE] = example[_FIELD]
    st.session_state[_TURN] = st.session_state.get(_TURN, 0) + 1


def caption(example: Request) -> str:
    """How large it is: the picture itself has no room on a button."""
    return f"A picture of {len(_content(example)) / 1000:,.0f} kB"


def show(request: Request) -> None:
    """As wide as the page."""
    show_marked(request, [])


def show_marked(request: Request, marks: Marks) -> None:
    """The picture with a frame for each mark, as a picture of its own, in which names are text whatever they say."""
    st.image(svg(_shown(request), marks), width="stretch")


def correct_marks(request: Request, key: str, marks: Marks, names: Sequence[str]) -> Marks:
    """The same, to draw on."""
    st.caption("Draw a frame around what is missing. Click on one to move or resize it; remove those that are wrong.")
    picture = _shown(request)
    width, height = picture.size
    data = {"picture": _address(picture), "width": width, "height": height, "marks": marks}
    data |= {"names": names, "colours": COLOURS}
    # it keeps only what something is called for
    state: Mapping[str, Any] = _marking(key=key, data=data, default={"marks": marks}, on_marks_change=lambda: None)
    now: Marks = state["marks"]
    return now


def svg(picture: Image.Image, marks: Marks) -> str:
    """A frame in one colour for each name, the surest above the others."""
    width, height = picture.size
    colours: dict[str, str] = {}
    for each in marks:
        colours.setdefault(each["name"], COLOURS[len(colours) % len(COLOURS)])
    frames = "".join(_frame(each, colours[each["name"]], width, height) for each in reversed(marks))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'font-family="sans-serif"><image href="{_address(picture)}" width="{width}" height="{height}"/>{frames}</svg>'
    )


def _shown(request: Request) -> Image.Image:
    picture = read_picture(_content(request), LARGEST)
    picture.thumbnail((LARGEST, LARGEST))
    return picture


def _address(picture: Image.Image) -> str:
    content = BytesIO()
    picture.save(content, "JPEG", quality=90)
    return f"data:image/jpeg;base64,{b64encode(content.getvalue()).decode()}"


def _frame(mark: Mapping[str, Any], colour: str, width: int, height: int) -> str:
    unit = max(width, height) / 100
    left, top = mark["left"] * width, mark["top"] * height
    said = f"{_plain(mark['name'])} {mark['score']:.0%}"
    wide, high = (0.56 * len(said) + 0.6) * _LETTERS * unit, 1.4 * _LETTERS * unit
    at = min(left, max(0.0, width - wide)), top - high if top >= high else top
    return (
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{mark["right"] * width - left:.1f}" '
        f'height="{mark["bottom"] * height - top:.1f}" fill="none" stroke="{colour}" stroke-width="{0.6 * unit:.2f}"/>'
        f'<rect x="{at[0]:.1f}" y="{at[1]:.1f}" width="{wide:.1f}" height="{high:.1f}" fill="{colour}"/>'
        f'<text x="{at[0] + wide / 2:.1f}" y="{at[1] + 0.72 * high:.1f}" font-size="{_LETTERS * unit:.1f}" fill="#fff" '
        f'text-anchor="middle" textLength="{wide - 0.6 * _LETTERS * unit:.1f}" lengthAdjust="spacingAndGlyphs">'
        f"{escape(said)}</text>"
    )


def _plain(name: str) -> str:
    """What XML can hold, cut where it is long."""
    readable = "".join(letter if letter.isprintable() else "\ufffd" for letter in name)
    return readable if len(readable) <= _LONGEST_NAME else f"{readable[:_LONGEST_NAME]}…"


def _content(request: Request) -> bytes:
    return b64decode(str(request[_FIELD]))


def cut(card: Card) -> str:  # noqa: ARG001 - every page's signature
    """It never is."""
    return "It was made smaller: the model reads few pixels."


def file_help(card: Card) -> str:  # noqa: ARG001 - every page's signature
    """An archive, or a table of pictures in base64."""
    return (
        "A ZIP archive of JPEG, PNG or WebP pictures, in folders or not; or a CSV or TSV with a header or JSON Lines, "
        f"with **{_FIELD}** as base64 in each row."
    )
