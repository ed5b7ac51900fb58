"""Tells a cell of several lines from rows that a stray quote swallowed."""

import re
from collections.abc import Sequence

from boatyard.inputs.lines import Line, without_end
from boatyard.inputs.texts import is_blank

DOUBLED = 'a quote inside a quoted cell is written twice ("")'

_TEXT_MAY_HAVE = {
    ",": 4,
    ";": 4,
    "\t": 0,
    "|": 0,
}  # delimiters in a cell of several lines that look like rows by chance
_ODD_SHARE = 0.1  # of swallowed lines, at most, that do not look like rows
_DIGITS = re.compile(r"\d+")


class Malformed(Exception):  # noqa: N818 - describes the record
    """The message continues a sentence that starts with the record's place."""


def is_blank_row(line: Line, delimiter: str) -> bool:
    """Whether the line has neither text nor cells."""
    return is_blank(line.text) and delimiter not in line.text and not line.too_long


def embedded_rows(taken: Sequence[Line], columns: int, delimiter: str) -> list[list[str]]:
    """The lines of one record that would also be rows by themselves, if there are at least two.

    A cell of several lines has at most one such line, except by chance. Raises Malformed if the lines are rows that a
    stray quote swallowed.
    """
    lines = [without_end(line.text).split(delimiter) for line in taken if not is_blank_row(line, delimiter)]
    rows = [[cell.strip('"') for cell in cells] for cells in lines if len(cells) == columns]
    odd, swallowed = len(lines) - len(rows), (len(rows) - 1) * (columns - 1)
    begins_and_ends_as_rows = len(lines[0]) == len(lines[-1]) == columns > 1
    by_chance = swallowed <= _TEXT_MAY_HAVE[delimiter] and not _are_numbered(rows)
    if begins_and_ends_as_rows and odd <= _ODD_SHARE * len(lines) and not by_chance:
        each = "nearly each line" if odd else "each line"
        where = f"closes in line {taken[-1].number}, and {each} up to there looks like a row"
        raise Malformed(f"opens a quote that {where}; {DOUBLED}")
    return rows if len(rows) > 1 else []


def _are_numbered(rows: Sequence[Sequence[str]]) -> bool:
    """Whether some column holds numbers, dates or the like in one format."""
    formats = ({_DIGITS.sub("0", cell) for cell in column} for column in zip(*rows, strict=True))
    return any(len(distinct) == 1 and "0" in distinct.pop() for distinct in formats)
