"""Records of CSV, TSV and JSON Lines, read alike for training and for jobs, from bytes as they come.

A record that cannot be read still counts, and says why. A quote that was opened by mistake costs the line it stands in
and no other: reading goes on with the next.
"""

import csv
import json
import re
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Literal, NamedTuple

from boatyard.config.errors import UserError
from boatyard.inputs.texts import UNDECODABLE, is_blank, normal_form

MOST_BYTES = 2**20  # of a record
MOST_LINES = 10_000  # of one too: each line that opens a quote costs a look at so many

Format = Literal["csv", "tsv", "jsonl"]

_DELIMITERS: Mapping[str, str] = {"csv": ",", "tsv": "\t"}
_DELIMITER_NAMES = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "vertical bars"}
_TEXT_MAY_HAVE = {",": 4, "\t": 0}  # delimiters in a cell of several lines, one line like the other, by chance
_ODD_SHARE = 0.1  # of swallowed rows, at most, that have a mistake of their own

# what is no text is known by how it begins
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
_JSON = re.compile(r'\ufeff?\s*(\[\s*(\{|$)|\{\s*("|$))')
_CONTROL = re.compile("[\0-\x08\x0e-\x1b]")
_TOGETHER = 2**16  # bytes cut into lines: those may be short, and many
_TOO_LONG = f"is longer than {MOST_BYTES:,} bytes"
TWICE = 'a quote inside a quoted cell is written twice ("")'
NOT_UTF_8 = "not UTF-8, but perhaps Windows-1252 or Latin-1; save the file as UTF-8"
_BOM = "\ufeff"  # also where files were put together
_digits = re.compile(r"\d+")


class Unreadable(UserError):  # noqa: N818 - says what the file is
    """Of the file as a whole; the sentence goes on from its name."""


@dataclass(frozen=True, slots=True)
class Record:
    """What stands at one place; if it cannot be read, `wrong` goes on from the place: "row 7 *is not JSON*".

    `line`: where it begins, counted from 1, as an editor does. `end`: where it ends, in bytes of the file. `text`: as
    it came; bytes that are no UTF-8 are lone surrogates (surrogateescape). `embedded`: its lines that would be rows by
    themselves, where there are two or more: a stray quote may have swallowed them.
    """

    line: int
    end: int
    text: str
    fields: dict[str, Any]
    wrong: str | None = None
    embedded: tuple[dict[str, str], ...] = ()


class _Line(NamedTuple):
    number: int
    end: int
    text: str
    too_long: bool


class _Malformed(Exception):  # noqa: N818 - says what it is
    pass


class _Lines(Iterator[_Line]):
    """Lines, of which some may be put back."""

    def __init__(self, lines: Iterator[_Line]) -> None:
        self._ahead: deque[_Line] = deque()
        self._lines = lines

    def __next__(self) -> _Line:
        return self._ahead.popleft() if self._ahead else next(self._lines)

    def put_back(self, lines: Sequence[_Line]) -> None:
        self._ahead.extendleft(reversed(lines))


def read_records(pieces: Iterable[bytes], form: Format) -> tuple[list[str], Iterator[Record]]:
    """The columns that the header names (of JSON Lines none), and the records one after another.

    Each line end counts (LF, CR LF, CR), as does none at the end. Lines on which nothing can be seen are passed over.

    Raises:
        Unreadable: this is no text in UTF-8, or has no header that can be used.
    """
    lines = _Lines(_lines(pieces))
    if form == "jsonl":
        return [], (_json_record(line) for line in lines if line.too_long or not is_blank(line.text))
    delimiter = _DELIMITERS[form]
    header = _header(lines, delimiter)
    return header, (_row(line, lines, header, delimiter) for line in lines if not _is_blank_row(line, delimiter))


def read_lines(pieces: Iterable[bytes], fields: Callable[[str], dict[str, Any]]) -> Iterator[Record]:
    """A record for each line on which something can be seen: for formats that are neither tables nor JSON.

    Raises:
        Unreadable: this is no text in UTF-8.
    """
    for line in _lines(pieces):
        text = _without_end(line.text)
        if line.too_long:
            yield Record(line.number, line.end, text, {}, _TOO_LONG)
        elif not is_blank(text):
            yield Record(line.number, line.end, text, fields(text))


def check_columns(names: Iterable[str]) -> None:
    """Raises Unreadable where two columns bear one name; those without a name are nobody's."""
    for name, count in Counter(filter(None, names)).items():
        if count > 1:
            raise Unreadable(f"names column {name!r} {'twice' if count == 2 else f'{count} times'}; rename the others")


def other_delimiter(header: Sequence[str]) -> str | None:
    """What seems to stand between the cells instead, where the header was read as one."""
    if len(header) == 1:
        for delimiter, name in _DELIMITER_NAMES.items():
            if delimiter in header[0]:
                return name
    return None


def check_start(start: bytes | bytearray) -> None:
    """Raises Unreadable where a file that begins so is no text in UTF-8."""
    for signature, sentence in _SIGNATURES:
        if start.startswith(signature):
            raise Unreadable(sentence)
    if _WEB_PAGE.match(start):
        raise Unreadable("is a web page or XML")
    letters = next(iter(start[:64].splitlines()), b"")
    if max(letters[0::2].count(0), letters[1::2].count(0)) > len(letters) / 4:  # no mark is needed in front
        raise Unreadable("is UTF-16 or UTF-32 text; save it as UTF-8")


def _lines(pieces: Iterable[bytes]) -> Iterator[_Line]:
    pieces = iter(pieces)
    start = next((piece for piece in pieces if piece), b"")
    check_start(start)
    return _split(chain([start], pieces))


def _split(pieces: Iterable[bytes]) -> Iterator[_Line]:
    """A line that is too long comes without its text, which is never held."""
    number = end = dropped = 0
    held = b""
    few = (piece[at : at + _TOGETHER] for piece in pieces for at in range(0, len(piece), _TOGETHER))
    for piece in chain(few, (None,)):
        lines = (held + (piece or b"")).splitlines(keepends=True)
        # an LF may follow a CR
        held = lines.pop() if piece is not None and lines and not lines[-1].endswith(b"\n") else b""
        for line in lines:
            number, end = number + 1, end + dropped + len(line)
            too_long = dropped + len(line) > MOST_BYTES
            text = "" if too_long else line.decode("utf-8", "surrogateescape")
            yield _Line(number, end, text, too_long)
            dropped = 0
        if len(held) > MOST_BYTES:
            dropped, held = dropped + len(held) - 1, held[-1:]


def _json_record(line: _Line) -> Record:
    text = _without_end(line.text)
    try:
        if line.too_long:
            raise _Malformed(_TOO_LONG)
        fields = json.loads(text.removeprefix(_BOM), object_pairs_hook=_once_each, parse_constant=_no_number)
        if not isinstance(fields, dict):
            raise _Malformed(f"is JSON, but no object: it is a {type(fields).__name__}")
    except (ValueError, RecursionError) as wrong:
        return Record(line.number, line.end, text, {}, f"is not JSON: {wrong}")
    except _Malformed as wrong:
        return Record(line.number, line.end, text, {}, str(wrong))
    return Record(line.number, line.end, text, fields)


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = {normal_form(name): value for name, value in pairs}
    if len(fields) < len(pairs):
        twice = next(name for name, count in Counter(normal_form(name) for name, _ in pairs).items() if count > 1)
        raise _Malformed(f"names {twice[:40]!r} more than once")
    return fields


def _no_number(constant: str) -> None:
    raise ValueError(f"it has no {constant}")


def _header(lines: _Lines, delimiter: str) -> list[str]:
    first = next((line for line in lines if not is_blank(line.text) or line.too_long), None)
    if first is None:
        raise Unreadable("has no header line that names its columns")
    if _JSON.match(first.text):
        raise Unreadable("is JSON; save it as JSON Lines (.jsonl), an object on each line")
    try:
        cells = _cells([first], lines, delimiter)
    except _Malformed as wrong:
        raise Unreadable(f"has no header that can be read: line {first.number} {wrong}") from None
    if any(map(UNDECODABLE.search, cells)):
        raise Unreadable(f"names its columns in bytes that are {NOT_UTF_8}")
    if any(map(_CONTROL.search, cells)):
        raise Unreadable("names its columns with control characters: it is no text in UTF-8, or damaged")
    header = [normal_form(cell) for cell in cells]
    check_columns(header)
    return header


def _is_blank_row(line: _Line, delimiter: str) -> bool:
    return is_blank(line.text) and delimiter not in line.text and not line.too_long


def _row(first: _Line, lines: _Lines, header: list[str], delimiter: str) -> Record:
    taken = [first]
    try:
        cells = _cells(taken, lines, delimiter)
        embedded = _rows_inside(taken, len(header), delimiter) if len(taken) > 1 else []
        if any(cells[len(header) :]) or len(cells) < len(header):
            raise _Malformed(_ragged(len(cells), len(header), delimiter))
    except _Malformed as wrong:
        lines.put_back(taken[1:])
        return Record(first.number, first.end, _without_end(first.text), {}, str(wrong))
    text = _without_end("".join(line.text for line in taken))
    fields = dict(zip(header, cells, strict=False))
    inside = tuple(dict(zip(header, each, strict=True)) for each in embedded)
    return Record(first.number, taken[-1].end, text, fields, embedded=inside)


def _cells(taken: list[_Line], lines: _Lines, delimiter: str) -> list[str]:
    """The cells of the record that `taken` begins; further lines that it stretches over are added there."""
    first = taken[0]
    if first.too_long:
        raise _Malformed(_TOO_LONG)
    begin = first.text.removeprefix(_BOM)
    if '"' not in begin:
        return _without_end(begin).split(delimiter)

    def feed() -> Iterator[str]:
        yield begin
        for line in lines:
            taken.append(line)
            if line.too_long or line.end - first.end > MOST_BYTES or len(taken) > MOST_LINES:
                return
            yield line.text

    csv.field_size_limit(2 * MOST_BYTES)  # the first line and what is taken after it
    try:
        return next(csv.reader(feed(), delimiter=delimiter, strict=True))
    except csv.Error as wrong:
        if "unexpected end" in str(wrong):
            cut_off = taken[-1].end - first.end > MOST_BYTES or len(taken) > MOST_LINES
            within = f" within {MOST_BYTES:,} bytes and {MOST_LINES:,} lines" if cut_off else ""
            raise _Malformed(f"opens a quote that is never closed{within}; {TWICE}") from None
        where = f" in line {taken[-1].number}" if len(taken) > 1 else ""
        raise _Malformed(f"has text behind a quote that closes{where}; {TWICE}") from None


def _rows_inside(taken: Sequence[_Line], columns: int, delimiter: str) -> list[list[str]]:
    """Those of the lines that would be rows by themselves, if there are two: a text of several lines has one at most,
    unless by chance. Raises _Malformed where it is none.
    """
    lines = [_without_end(line.text).split(delimiter) for line in taken if not _is_blank_row(line, delimiter)]
    rows = [[cell.strip('"') for cell in cells] for cells in lines if len(cells) == columns]
    odd, swallowed = len(lines) - len(rows), (len(rows) - 1) * (columns - 1)
    begins_and_ends_as_rows = len(lines[0]) == len(lines[-1]) == columns > 1
    by_chance = swallowed <= _TEXT_MAY_HAVE[delimiter] and not _are_numbered(rows)
    if begins_and_ends_as_rows and odd <= _ODD_SHARE * len(lines) and not by_chance:
        each = "nearly each line" if odd else "each line"
        where = f"closes in line {taken[-1].number}, and {each} up to there looks like a row"
        raise _Malformed(f"opens a quote that {where}; {TWICE}")
    return rows if len(rows) > 1 else []


def _are_numbered(rows: Sequence[Sequence[str]]) -> bool:
    """Whether some column holds numbers, dates or the like, and all of one form."""
    forms = ({_digits.sub("0", cell) for cell in column} for column in zip(*rows, strict=True))
    return any(len(form) == 1 and "0" in form.pop() for form in forms)


def _ragged(cells: int, columns: int, delimiter: str) -> str:
    one = "cell" if cells == 1 else "cells"
    hint = f"; a text with {_DELIMITER_NAMES[delimiter]} in it needs quotes around it" if cells > columns else ""
    return f"has {cells} {one} where the header names {columns}{hint}"


def _without_end(text: str) -> str:
    return text.rstrip("\r\n")
