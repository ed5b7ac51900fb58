"""Lines of UTF-8 text, from bytes in pieces of any size."""

import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import NamedTuple

from boatyard.config.errors import UserError

MOST_BYTES = 2**20
"""Of a line, or of a record that spans several."""

# binary files and other encodings, recognised by their first bytes
_SIGNATURES = (
    (b"\xff\xfe\0\0", "is UTF-32 text; save it as UTF-8"),
    (b"\0\0\xfe\xff", "is UTF-32 text; save it as UTF-8"),
    (b"\xff\xfe", "is UTF-16 text (Excel calls it Unicode); save it as UTF-8"),
    (b"\xfe\xff", "is UTF-16 text; save it as UTF-8"),
    (b"\x1f\x8b", "is compressed by gzip; unpack it first"),
    (b"BZh", "is compressed by bzip2; unpack it first"),
    (b"\xfd7zXZ\0", "is compressed by xz; unpack it first"),
    (b"\x28\xb5\x2f\xfd", "is compressed by zstd; unpack it first"),
    (b"PK\x03\x04", "is a ZIP archive or an Excel workbook; unpack it, or save the sheet as CSV UTF-8"),
    (b"\xd0\xcf\x11\xe0", "is an old Excel workbook; save the sheet as CSV UTF-8"),
    (b"PAR1", "is Parquet; name it .parquet"),
    (b"ARROW1", "is an Arrow file; save it as Parquet or CSV"),
    (b"SQLite format 3\0", "is an SQLite database; export the table as CSV"),
    (b"%PDF-", "is a PDF"),
    (b"version https://git-lfs", "is a pointer of Git LFS; `git lfs pull` brings the file itself"),
)
_WEB_PAGE = re.compile(rb"\s*<(!doctype html|html|\?xml)", re.IGNORECASE)
_SPLIT_BYTES = 2**16  # split into lines at a time: lines may be short, and many


class Unreadable(UserError):  # noqa: N818 - describes the file
    """The file as a whole cannot be read; the message continues a sentence that starts with its name."""


class Line(NamedTuple):
    """`number`: from 1. `end`: the offset of its end in the file. `text`: with its line end; empty if `too_long`."""

    number: int
    end: int
    text: str
    too_long: bool


class Lines(Iterator[Line]):
    """Lines that can be pushed back."""

    def __init__(self, source: Iterator[Line]) -> None:
        self._source = source
        self._pushed_back: deque[Line] = deque()

    def __next__(self) -> Line:
        return self._pushed_back.popleft() if self._pushed_back else next(self._source)

    def push_back(self, lines: Sequence[Line]) -> None:
        """They come next, in this order."""
        self._pushed_back.extendleft(reversed(lines))


def check_start(start: bytes | bytearray) -> None:
    """Raises Unreadable if these first bytes show that the file is not UTF-8 text."""
    for signature, sentence in _SIGNATURES:
        if start.startswith(signature):
            raise Unreadable(sentence)
    if _WEB_PAGE.match(start):
        raise Unreadable("is a web page or XML")
    letters = next(iter(start[:64].splitlines()), b"")
    if (
        max(letters[0::2].count(0), letters[1::2].count(0)) > len(letters) / 4
    ):  # UTF-16 and UTF-32 without a byte order mark
        raise Unreadable("is UTF-16 or UTF-32 text; save it as UTF-8")


def split_lines(pieces: Iterable[bytes], number: int = 0, end: int = 0) -> Lines:
    """Each LF, CR LF or CR ends a line, as does the end of the file. Invalid UTF-8 is decoded with surrogateescape.

    `number`, `end`: of the line before the first, where reading begins within a file.

    Raises:
        Unreadable: this is not UTF-8 text.
    """
    pieces = iter(pieces)
    start = next((piece for piece in pieces if piece), b"")
    if not end:
        check_start(start)
    return Lines(_split(chain([start], pieces), number, end))


def _split(pieces: Iterable[bytes], number: int, end: int) -> Iterator[Line]:
    """The text of a line that is too long is dropped, never buffered."""
    dropped = 0
    rest = b""
    small = (piece[at : at + _SPLIT_BYTES] for piece in pieces for at in range(0, len(piece), _SPLIT_BYTES))
    for piece in chain(small, (None,)):
        lines = (rest + (piece or b"")).splitlines(keepends=True)
        # the last line may go on, or an LF may follow a CR
        rest = lines.pop() if piece is not None and lines and not lines[-1].endswith(b"\n") else b""
        for line in lines:
            number, end = number + 1, end + dropped + len(line)
            too_long = dropped + len(line) > MOST_BYTES
            text = "" if too_long else line.decode("utf-8", "surrogateescape")
            yield Line(number, end, text, too_long)
            dropped = 0
        if len(rest) > MOST_BYTES:
            dropped, rest = dropped + len(rest) - 1, rest[-1:]


def without_end(text: str) -> str:
    """The line's text without its line end."""
    return text.rstrip("\r\n")
