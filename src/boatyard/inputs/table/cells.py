"""One cell of a table to a value, alike for JSON, for CSV, where all is text, and for Parquet."""

import re
from collections.abc import Callable, Collection, Mapping
from datetime import date
from decimal import Decimal
from typing import Any, Literal

from boatyard.inputs.dates import read_date
from boatyard.inputs.records import NOT_UTF_8, is_missing
from boatyard.inputs.texts import UNDECODABLE, is_encodable, normal_form

Kind = Literal["number", "category", "date", "truth"]
Value = float | str | bool | None
"""A number is a float, a category a str, a date a str in ISO 8601, a truth value a bool; None is a missing value."""

KINDS: tuple[Kind, ...] = ("number", "category", "date", "truth")
MISSING = (
    *("", "na", "n/a", "nan", "null", "<na>", "?", "-"),
    *("#n/a", "#div/0!", "#name?", "#null!", "#num!", "#ref!", "#value!"),  # spreadsheets' errors
)
"""By default, the words that stand for a missing value, in any case. `None` is none: in many tables it means "no"."""
LARGEST = 1e15
"""In magnitude, of numbers."""
LONGEST = 200
"""In characters, of a category."""

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_TRUTHS = {"true": True, "false": False, "yes": True, "no": False, "1": True, "0": False}
_SHOWN = 40  # characters
_EXPECTED: Mapping[Kind, str] = {
    "number": "a number such as 1234.5",
    "category": f"a word or a number, of {LONGEST} characters at most",
    "date": "a date such as 2024-05-31",
    "truth": "true or false",
}


class WrongCell(ValueError):  # noqa: N818 - says what it is
    """A value that the column cannot have; the sentence goes on from its place, as in "row 7 *holds 'none'*"."""


def read_cell(cell: Any, kind: Kind, missing: Collection[str]) -> Value:
    """The value, None where it is missing. `missing`: the words that say so, in lower case. Raises WrongCell."""
    if isinstance(cell, str):
        cell = normal_form(cell)
        if cell.casefold() in missing:
            return None
    elif is_missing(cell):
        return None
    value = _READERS[kind](cell)
    if value is None:
        if isinstance(cell, str) and UNDECODABLE.search(cell):
            raise WrongCell(f"holds bytes that are {NOT_UTF_8}")
        raise WrongCell(f"holds {_shown(cell)}; expected {_EXPECTED[kind]}, or nothing")
    return value


def day_of(value: str) -> date:
    """Of a date as `read_cell` has it."""
    return date.fromisoformat(value)


def _number(cell: Any) -> float | None:
    is_number = isinstance(cell, int | float | Decimal) and not isinstance(cell, bool)
    if not is_number and not (isinstance(cell, str) and _NUMBER.fullmatch(cell)):
        return None
    # an integer of hundreds of digits is compared, and would be no float
    value = float(cell) if isinstance(cell, float | str | Decimal) else cell
    return float(value) if abs(value) <= LARGEST else None


def _category(cell: Any) -> str | None:
    if isinstance(cell, bool):
        cell = str(cell).lower()
    elif isinstance(cell, int | float | Decimal):
        cell = f"{cell:.15g}" if -LARGEST <= cell <= LARGEST else ""
    elif isinstance(cell, date):
        cell = cell.isoformat()
    return cell if isinstance(cell, str) and 0 < len(cell) <= LONGEST and is_encodable(cell) else None


def _date(cell: Any) -> str | None:
    """Of a time only the day."""
    day = read_date(cell)
    return None if day is None else day.isoformat()


def _truth(cell: Any) -> bool | None:
    if isinstance(cell, str):
        return _TRUTHS.get(cell.casefold())
    return bool(cell) if isinstance(cell, int | float) and cell in (0, 1) else None


_READERS: Mapping[Kind, Callable[[Any], Value]] = {
    "number": _number,
    "category": _category,
    "date": _date,
    "truth": _truth,
}


def _shown(cell: Any) -> str:
    number: Any = float(cell) if isinstance(cell, str) and _NUMBER.fullmatch(cell) else cell
    is_number = isinstance(number, int | float | Decimal)
    if is_number and abs(number) > LARGEST:  # Python spells no integer of thousands of digits
        return f"a number beyond {LARGEST:g}"
    shown = repr(cell)
    return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"
