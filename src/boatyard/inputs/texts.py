"""What counts as blank, and when two texts or labels are the same: one answer for training, serving and feedback."""

import re
import unicodedata
from functools import cache

# spelt out, so that Python's `re`, ECMAScript and JSON Schema read one pattern the same way
_BLANK = (
    r"\u0000-\u0020\u007f-\u00a0\u00ad\u034f\u061c\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f\u2000-\u200f"
    r"\u2028-\u202f\u205f-\u206f\u2800\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
)
VISIBLE = f"[^{_BLANK}]"
"""A regular expression that finds a character which can be seen; a text without one is blank."""

UNDECODABLE = re.compile("[\udc80-\udcff]")
"""Finds what `surrogateescape` makes of bytes that are not UTF-8."""

_visible = re.compile(VISIBLE)
_ascii_words = re.compile(r"\w+", re.ASCII)
_halves = re.compile("[\ud800-\udfff]")
_edges = re.compile(f"^[{_BLANK}]+|[{_BLANK}]+$")
_invisible = re.compile(r"[\u00ad\u034f\u061c\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff]")
# what else leaves no mark within a label; in a text it parts words
_unmarked = re.compile(
    r"[\u0000-\u0008\u000e-\u001b\u007f-\u0084\u0086-\u009f\u115f\u1160\u17b4\u17b5\u3164\uffa0\ufff0-\ufffb"
    r"\U000e0000-\U000e0fff]"
)

_UNSPACED = (
    "\u0e01-\u0e3a\u0e40-\u0e4e\u0e50-\u0e59\u0e81-\u0edf\u1000-\u1049\u1050-\u109f\u1780-\u17d3\u17dc-\u17ff"
    "\u3005-\u3007\u3041-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U0001b000-\U0001b16f\U00020000-\U0003ffff"
)

UNSPACED = f"[{_UNSPACED}]"
"""Finds a character of a script that puts no space between words, in which each is counted as one."""

# what is drawn alike in some typeface: Cyrillic and Greek letters, quotes and dashes
_LOOKALIKES = str.maketrans(
    "авекмнорстухіјѕһԁԛԝαβεικνορτυχ‘’ʼ“”„‐‒–—−",  # noqa: RUF001
    "abekmhopctyxijshdqwabeikvoptux'''\"\"\"-----",
)


def is_blank(text: str) -> bool:
    """Whether nothing of the text can be seen."""
    return _visible.search(text) is None


def is_encodable(text: str) -> bool:
    """Whether UTF-8 has all of it; half a surrogate pair, which JSON can spell, it has not."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def readable(text: str) -> str:
    """As UTF-8 has it: what it has not is U+FFFD."""
    return text if is_encodable(text) else _halves.sub("\ufffd", text)


def composed(text: str) -> str:
    """NFC: an accent is part of its letter, however it was typed."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def normal_form(text: str) -> str:
    """A label or a column's name as training stores it and feedback is compared: NFC, nothing blank around it."""
    return _edges.sub("", composed(text))


def look(label: str) -> str:
    """Labels that are alike to the eye, or but for capitals, have the same look."""
    return " ".join(_unmarked.sub("", _folded(label)).translate(_LOOKALIKES).split())


def words(text: str) -> list[str]:
    """The words without case, punctuation and pictures; where a script puts no space between them, the characters."""
    return _find_words(_folded(text))


def written_words(text: str) -> list[str]:
    """The same words with their capitals."""
    return _find_words(composed(text))


def places_of_words(text: str) -> list[tuple[int, int]]:
    """Where the words begin and end, each with its punctuation: all that is no space is in one."""
    return [match.span() for match in _pattern_of_written_words().finditer(text)]


def _find_words(text: str) -> list[str]:
    if text.isascii():  # what the pattern finds there, in a fifth of the time
        return _ascii_words.findall(text)
    return _pattern_of_words().findall(text)


def _folded(text: str) -> str:
    if text.isascii():
        return text.lower()
    # what a letter and a mark make together may fold, and the reverse; Turkish I with its dot is an i
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold().replace("i\u0307", "i"))
    return _invisible.sub("", folded)


@cache
def _pattern_of_words() -> re.Pattern[str]:
    return re.compile(f"[{_UNSPACED}][{_marks()}]*|[^\\W{_UNSPACED}](?:[^\\W{_UNSPACED}]|[{_marks()}])*")


@cache
def _pattern_of_written_words() -> re.Pattern[str]:
    return re.compile(f"[{_UNSPACED}][{_marks()}]*|[^\\s{_UNSPACED}]+")


@cache
def _marks() -> str:
    r"""Python's `\w` has no combining marks, without which many scripts lose their vowels."""
    return "".join(c for c in map(chr, range(0x300, 0x1F000)) if unicodedata.category(c).startswith("M"))
