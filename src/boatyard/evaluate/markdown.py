"""Markdown for reports, in which no content of a row can break the page or a table."""

import re
from collections.abc import Iterable, Sequence

_LONGEST_NAME = 60
"""Of a column or a group, in characters: what a cell of a table has room for."""

# control characters, lone surrogates (undecodable bytes) and marks that reverse the reading direction
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]")

_MARKUP = re.compile(
    r"[\\`*\[\]{<>&|~$]"
    r"|(?<![^\W_])_|_(?![^\W_])"  # inside a word, as in card_arrival, an underscore is only itself
    r"|^[-+#=:](?=[-+#=:\s]|$)|^\d(?=\d*[.)](?:\s|$))"  # at the start of a line: a heading, a rule or a list
)


def one_line(text: str) -> str:
    """`text` with white space collapsed and unprintable characters replaced by U+FFFD."""
    return _UNPRINTABLE.sub("\ufffd", " ".join(text.split()))


def shorten(text: str, limit: int = _LONGEST_NAME) -> str:
    """`one_line(text)` in at most `limit` characters; an ellipsis marks a cut."""
    line = one_line(text)
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def escape(text: str) -> str:
    """`one_line(text)`, shown literally by a Markdown renderer.

    Character references rather than backslashes: every dialect honours them, in tables too.
    """
    return _MARKUP.sub(lambda match: f"&#{ord(match[0])};", one_line(text))


def table(header: Sequence[str], rows: Iterable[Sequence[str]], align: str = "") -> str:
    """A table of escaped cells; `align` has an `l` or `r` for each column, all left by default.

    Raises ValueError when a row or `align` does not fit the header.
    """
    rules = [{"l": "---", "r": "---:"}[side] for side in align or "l" * len(header)]
    lines = [[escape(cell) for cell in header], rules]
    lines += [[escape(cell) for cell in row] for row in rows]
    if any(len(line) != len(header) for line in lines):
        raise ValueError(f"every row of a table needs {len(header)} cells, as its header has")
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
