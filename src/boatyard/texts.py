"""What counts as blank, and when two texts or labels are the same: one answer for training, serving and feedback."""

import re
import unicodedata

# spelt out, so that Python's `re`, ECMAScript and JSON Schema read one pattern the same way
_BLANK = (
    r"\u0000-\u0020\u007f-\u00a0\u00ad\u034f\u061c\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180e\u2000-\u200f"
    r"\u2028-\u202f\u205f-\u206f\u2800\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0"
)
VISIBLE = f"[^{_BLANK}]"
"""A regular expression that finds a character which can be seen; a text without one is blank."""

LONGEST_LABEL = 200
"""In characters: what training takes, feedback can name."""

_visible = re.compile(VISIBLE)
_edges = re.compile(f"^[{_BLANK}]+|[{_BLANK}]+$")


def is_blank(text: str) -> bool:
    """Whether nothing of the text can be seen."""
    return _visible.search(text) is None


def normal_label(label: str) -> str:
    """The label as training stores it and feedback is compared: NFC, nothing blank around it."""
    return _edges.sub("", unicodedata.normalize("NFC", label))
