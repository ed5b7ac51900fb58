"""Reads records of CSV, TSV and JSON Lines, for training and for jobs alike.

A record that cannot be read still counts, with the reason. A stray quote costs its own line and no other: reading
resumes at the next.
"""

import csv
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal, NamedTuple

from boatyard.inputs.lines import MOST_BYTES, Line, Lines, Unreadable, split_lines, without_end
from boatyard.inputs.quotes import DOUBLED, Malformed, embedded_rows, is_blank_row
from boatyard.inputs.texts import UNDECODABLE, is_blank, normal_form

MOST_LINES = 10_000  # of a record: after each stray quote so many lines are read, and read again

Format = Literal["csv", "tsv", "jsonl"]
SUFFIXES: Mapping[str, Format] = {".csv": "csv", ".tsv": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl"}

_DELIMITERS: Mapping[str, str] = {"csv": ",", "tsv": "\t"}
_DELIMITER_NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
_QUOTED = re.compile(r'"[^"]*("|$)')
_SEP = re.compile(r"sep=([,;\t|])\s*")  # Excel's own first line
_JSON = re.compile(r'\ufeff?\s*(\[\s*(\{|$)|\{\s*("|$))')
_CONTROL = re.compile("[\0-\x08\x0e-\x1b]")
_TOO_LONG = f"is longer than {MOST_BYTES:,} bytes"
NOT_UTF_8 = "not UTF-8, but perhaps Windows-1252 or Latin-1; save the file as UTF-8"
_BOM = "\ufeff"  # at the start, and inside concatenated files


@dataclass(frozen=True, slots=True)
class Record:
    """One record; if it cannot be read, `wrong` continues a sentence that starts with its place: "row 7 *is not JSON*".

    `line`: where it starts, from 1, as editors count. `end`: the offset of its end in the file, from where on the next
    can be read by itself unless it has the same `end`, or a `file`. `text`: unparsed;
    invalid UTF-8 is decoded with surrogateescape. `embedded`: its lines that would also be rows by themselves, if there
    are two or more: a stray quote may have swallowed them. `file`: its own, of an archive.
    """

    line: int
    end: int
    text: str
    fields: dict[str, Any]
    wrong: str | None = None
    embedded: tuple[dict[str, str], ...] = ()
    file: str | None = None


class Header(NamedTuple):
    """Of a table: its columns in normal form, what separates them, and the number and the end of its last line."""

    names: list[str]
    delimiter: str
    line: int
    end: int


def read_records(pieces: Iterable[bytes], form: Format) -> tuple[list[str], Iterator[Record]]:
    """The column names in the header (none for JSON Lines), and an iterator over the records. Blank lines are skipped.

    Where the header has no delimiter of the format, it is another that it has: spreadsheets write CSV with semicolons
    wherever decimals have a comma.

    Raises:
        Unreadable: this is not UTF-8 text, or its header cannot be used.
    """
    header, records = open_records(pieces, form)
    return [] if header is None else header.names, records


def open_records(pieces: Iterable[bytes], form: Format) -> tuple[Header | None, Iterator[Record]]:
    """The same, with all that `read_on` needs to know of the header."""
    lines = split_lines(pieces)
    header = None if form == "jsonl" else _header(lines, _DELIMITERS[form])
    return header, _records(lines, header)


def read_on(pieces: Iterable[bytes], header: Header | None, line: int, end: int) -> Iterator[Record]:
    """The records of a file from the `end` of one on; `line`: how many lines lie before that."""
    return _records(split_lines(pieces, line, end), header)


def _records(lines: Lines, header: Header | None) -> Iterator[Record]:
    if header is None:
        return (_json_record(line) for line in lines if line.too_long or not is_blank(line.text))
    names, delimiter = header.names, header.delimiter
    return (_row(line, lines, names, delimiter) for line in lines if not is_blank_row(line, delimiter))


def read_lines(pieces: Iterable[bytes], fields: Callable[[str], dict[str, Any]]) -> Iterator[Record]:
    """A record for each line that is not blank: for formats that are neither tables nor JSON.

    Raises:
        Unreadable: this is not UTF-8 text.
    """
    for line in split_lines(pieces):
        text = without_end(line.text)
        if line.too_long:
            yield Record(line.number, line.end, text, {}, _TOO_LONG)
        elif not is_blank(text):
            yield Record(line.number, line.end, text, fields(text))


def is_missing(cell: Any) -> bool:
    """Whether it is None, or the number that is none, which data frames have in its place."""
    return cell is None or (isinstance(cell, float | Decimal) and math.isnan(cell))


def check_columns(names: Iterable[str]) -> None:
    """Raises Unreadable if two columns have the same name; columns may have none."""
    for name, count in Counter(filter(None, names)).items():
        if count > 1:
            raise Unreadable(f"names column {name!r} {'twice' if count == 2 else f'{count} times'}; rename the others")


def _json_record(line: Line) -> Record:
    text = without_end(line.text)
    try:
        if line.too_long:
            raise Malformed(_TOO_LONG)
        fields = json.loads(text.removeprefix(_BOM), object_pairs_hook=_once_each, parse_constant=_no_number)
        if not isinstance(fields, dict):
            raise Malformed(f"is JSON, but not an object: it is a {type(fields).__name__}")
    except (ValueError, RecursionError) as wrong:
        return Record(line.number, line.end, text, {}, f"is not JSON: {wrong}")
    except Malformed as wrong:
        return Record(line.number, line.end, text, {}, str(wrong))
    return Record(line.number, line.end, text, fields)


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = {normal_form(name): value for name, value in pairs}
    if len(fields) < len(pairs):
        twice = next(name for name, count in Counter(normal_form(name) for name, _ in pairs).items() if count > 1)
        raise Malformed(f"names {twice[:40]!r} more than once")
    return fields


def _no_number(constant: str) -> None:
    raise ValueError(f"it has no {constant}")


def _header(lines: Lines, delimiter: str) -> Header:
    first = _first(lines)
    if first is not None and (said := _SEP.fullmatch(first.text.removeprefix(_BOM))):
        delimiter, first = said[1], _first(lines)
    if first is None:
        raise Unreadable("has no header line that names its columns")
    if _JSON.match(first.text):
        raise Unreadable("is JSON; save it as JSON Lines (.jsonl), an object on each line")
    unquoted = _QUOTED.sub("", first.text)
    delimiter = next((each for each in (delimiter, *_DELIMITER_NAMES) if each in unquoted), delimiter)
    try:
        cells = _cells(taken := [first], lines, delimiter)
    except Malformed as wrong:
        raise Unreadable(f"has no header that can be read: line {first.number} {wrong}") from None
    if any(map(UNDECODABLE.search, cells)):
        raise Unreadable(f"names its columns in bytes that are {NOT_UTF_8}")
    if any(map(_CONTROL.search, cells)):
        raise Unreadable("names its columns with control characters: it is no text in UTF-8, or damaged")
    header = [normal_form(cell) for cell in cells]
    check_columns(header)
    return Header(header, delimiter, taken[-1].number, taken[-1].end)


def _first(lines: Lines) -> Line | None:
    return next((line for line in lines if not is_blank(line.text) or line.too_long), None)


def _row(first: Line, lines: Lines, header: list[str], delimiter: str) -> Record:
    taken = [first]
    try:
        cells = _cells(taken, lines, delimiter)
        embedded = embedded_rows(taken, len(header), delimiter) if len(taken) > 1 else []
        if any(cells[len(header) :]) or len(cells) < len(header):
            raise Malformed(_ragged(len(cells), len(header), delimiter))
    except Malformed as wrong:
        lines.push_back(taken[1:])
        return Record(first.number, first.end, without_end(first.text), {}, str(wrong))
    text = without_end("".join(line.text for line in taken))
    fields = dict(zip(header, cells, strict=False))
    inside = tuple(dict(zip(header, each, strict=True)) for each in embedded)
    return Record(first.number, taken[-1].end, text, fields, embedded=inside)


def _cells(taken: list[Line], lines: Lines, delimiter: str) -> list[str]:
    """The cells of the record that starts with the line in `taken`, to which its further lines are appended."""
    first = taken[0]
    if first.too_long:
        raise Malformed(_TOO_LONG)
    begin = first.text.removeprefix(_BOM)
    if '"' not in begin:
        return without_end(begin).split(delimiter)

    def feed() -> Iterator[str]:
        yield begin
        for line in lines:
            taken.append(line)
            if line.too_long or line.end - first.end > MOST_BYTES or len(taken) > MOST_LINES:
                return
            yield line.text

    csv.field_size_limit(2 * MOST_BYTES)  # the first line and those that `feed` adds
    try:
        return next(csv.reader(feed(), delimiter=delimiter, strict=True))
    except csv.Error as wrong:
        if "unexpected end" in str(wrong):
            cut_off = taken[-1].end - first.end > MOST_BYTES or len(taken) > MOST_LINES
            within = f" within {MOST_BYTES:,} bytes and {MOST_LINES:,} lines" if cut_off else ""
            raise Malformed(f"opens a quote that is never closed{within}; {DOUBLED}") from None
        where = f" in line {taken[-1].number}" if len(taken) > 1 else ""
        raise Malformed(f"has text behind a quote that closes{where}; {DOUBLED}") from None


def _ragged(cells: int, columns: int, delimiter: str) -> str:
    one = "cell" if cells == 1 else "cells"
    hint = f"; a text with {_DELIMITER_NAMES[delimiter]} in it needs quotes around it" if cells > columns else ""
    return f"has {cells} {one} where the header names {columns}{hint}"
