"""The logo, with and without the name."""

from base64 import b64encode
from html import escape
from pathlib import Path

MARK = Path(__file__).with_name("mark.svg")

_SIZE = 36  # of the letters, beside a mark 64 high
_LEFT = 74
_NARROW, _BROAD = "fijltI.- ", "mwMW"


def wordmark(name: str) -> str:
    """An SVG as wide as the name. Which font it is drawn in is for the browser; `textLength` makes any of them fit."""
    mark = b64encode(MARK.read_bytes()).decode()
    width = round(_SIZE * sum(_width(letter) for letter in name))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_LEFT + width + 2} 64">'
        f'<image href="data:image/svg+xml;base64,{mark}" width="64" height="64"/>'
        f'<text x="{_LEFT}" y="45" textLength="{width}" lengthAdjust="spacingAndGlyphs" font-family="sans-serif" '
        f'font-size="{_SIZE}" font-weight="700" fill="#2b8f84">{escape(name)}</text></svg>'
    )


def _width(letter: str) -> float:
    """Of a bold letter, as a share of the font's size."""
    if letter in _NARROW:
        return 0.36
    return 0.95 if letter in _BROAD else 0.74 if letter.isupper() else 0.62
