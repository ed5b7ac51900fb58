"""Which columns of a source are read, and as what: found by their cells where the configuration does not say."""

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from boatyard.config.errors import UserError
from boatyard.inputs.table.cells import KINDS, LONGEST, Kind, WrongCell, read_cell
from boatyard.inputs.table.columns import LEAST_ROWS
from boatyard.inputs.training_protocol import OWN, Source

MOST_ROWS = 200_000
"""As many tell what a column is."""

_MOSTLY = 0.9  # of the cells, at least, are what the column is; the others are errors
_MOST_LEVELS = 10_000  # are counted
_DISTINCT = 0.5  # share of different values above which a word tells nothing of other rows
_WORDS_OF_TEXT = 3  # on average, from which on values are sentences
_OTHER_DATE = re.compile(r"\d{1,4}[./-]\d{1,2}[./-]\d{1,4}\b|\d{1,2}[ -][A-Za-z]{3,9}[ -]\d{2,4}\b")
_OTHER_NUMBER = re.compile(r"(?=.*\D)[+-]?[$€£¥]? ?[+-]?\d{1,3}([.,'\s]?\d{3})*([.,]\d+)?\s?[%$€£¥]?")
_WRITTEN_OTHERWISE = {
    "other date": "holds dates, but not as 2024-05-31",
    "other number": "holds numbers, but not as 1234.5",
}
_PADDED = re.compile(r"0\d\d+", re.ASCII)  # as no number is written, but a code is
_NAMED_ID = re.compile(r"(^|[^a-z])(?i:id|pid|uuid|guid)$|[a-z]I[dD]$")
_NAMED_CODE = re.compile(r"(?i)(^|[^a-z])(zip|plz)$|(zip|post(al)?)[ _-]?code$")
_FEW_WORDS = 2  # among numbers, which may mean that nothing is there


@dataclass(frozen=True)
class Found:
    """What the columns of some sources are.

    `names`: of all columns. `kinds`: by name, of those that are read, in their order. `left_out`: the others, each with
    the reason, which goes on from the name. `doubts`: by name, what a person should look at, as such a sentence.
    `missing`: by column, how often each word stood for a missing value.
    """

    names: set[str]
    kinds: dict[str, Kind]
    left_out: dict[str, str]
    doubts: dict[str, str]
    missing: dict[str, Counter[str]]


def find_kinds(
    sources: Sequence[Source], given: Mapping[str, Kind], others: Collection[str], missing: Collection[str]
) -> Found:
    """Looks at the first rows of each source, MOST_ROWS in all.

    `given`: the kinds that are said; `others`: columns that are none of the input's; `missing`: the words that stand
    for a missing value, in lower case.

    Raises:
        UserError: a column is not in each source.
    """
    seen: dict[str, _Cells] = {}
    names: dict[str, set[str]] = {}
    rows = 0
    for source in sources:
        names[source.name] = set()
        for row in islice(source.rows(), MOST_ROWS // len(sources)):
            rows += 1
            names[source.name].update(row.cells)
            for name, cell in row.cells.items():
                if name not in others:
                    seen.setdefault(name, _Cells()).add(cell, missing)
    left_out = {
        name: reason
        for name, cells in seen.items()
        if name not in given and (reason := cells.why_useless(name, rows)) is not None
    }
    kinds = {name: given.get(name) or cells.kind(name) for name, cells in seen.items() if name not in left_out}
    doubts = {name: doubt for name, cells in seen.items() if name not in given and (doubt := cells.doubt()) is not None}
    for file, present in names.items():
        if present and (absent := kinds.keys() - present):
            raise UserError(f"{file}: column {min(absent)!r} is missing; data.drop leaves it out everywhere")
    missing_words = {name: cells.missing for name, cells in seen.items()}
    return Found(set().union(*names.values()), kinds, left_out, doubts, missing_words)


@dataclass
class _Cells:
    """What is seen of a column."""

    missing: Counter[str] = field(default_factory=Counter)
    like: Counter[str] = field(default_factory=Counter)
    words: int = 0
    levels: Counter[Any] = field(default_factory=Counter)
    distinct: float = 0.0
    """Share of different values, as long as they are counted."""
    is_running: bool = True
    """Whether each value so far is the number after the one before."""
    last: float | None = None
    padded: int = 0
    """How many are digits after a zero."""

    def add(self, cell: object, missing: Collection[str]) -> None:
        like, value = _likeness(cell, missing)
        if value is None:
            self.missing["" if cell is None or not isinstance(cell, str) else cell.strip()] += 1
            return
        self.like[like] += 1
        self.padded += isinstance(cell, str) and _PADDED.fullmatch(cell.strip()) is not None
        if isinstance(value, str):
            self.words += value.count(" ") + 1
        if like != "number" or (self.last is not None and value != self.last + 1):
            self.is_running = False
        self.last = value if like == "number" else None
        if len(self.levels) < _MOST_LEVELS:
            self.levels[value] += 1
            self.distinct = len(self.levels) / self.like.total()

    def kind(self, name: str) -> Kind:
        """What most cells are; else they are words. Numbers that stand for something else are words too."""
        most = self.like.total() * _MOSTLY
        kind: Kind = next((kind for kind in KINDS if self.like[kind] >= most > 0), "category")
        is_code = self.padded >= LEAST_ROWS or _NAMED_ID.search(name) or _NAMED_CODE.search(name)
        return "category" if kind == "number" and is_code else kind

    def doubt(self) -> str | None:
        """What a person should look at, going on from its name; None where all is clear."""
        values = self.like.total()
        if any(self.like[like] >= values * _MOSTLY > 0 for like in _WRITTEN_OTHERWISE):
            return f"{self._why_no_category()}: it is left out until it is written so"
        for kind in ("number", "date"):
            if values / 2 <= self.like[kind] < values * _MOSTLY:
                words = [level for level in self.levels if isinstance(level, str) and not re.search(r"\d", level)]
                if 0 < len(words) <= _FEW_WORDS:
                    named = " and ".join(map(repr, words))
                    return f"holds {kind}s but for {named}: does that mean a missing value (data.missing)?"
        return None

    def why_useless(self, name: str, rows: int) -> str | None:
        """Why nothing can be learnt from it, going on from its name; None where something can."""
        if not name:
            return "has no name"
        if name.startswith(OWN):
            return "has a name that boatyard uses itself; rename it"
        values = self.like.total()
        if not values:
            return "has no value in any row"
        if self.like["nothing"] > values * (1 - _MOSTLY):
            return "holds what is neither a number, a word, a date nor a truth value"
        if len(self.levels) == 1 and values == rows:
            return "has the same value in each row"
        if values >= LEAST_ROWS and (self.is_running or (_NAMED_ID.search(name) and self.distinct > _MOSTLY)):
            return "numbers the rows, or names them"
        return self._why_no_category() if self.kind(name) == "category" else None

    def _why_no_category(self) -> str | None:
        values = self.like.total()
        for like, reason in _WRITTEN_OTHERWISE.items():
            if self.like[like] >= values * _MOSTLY:
                return reason
        if self.distinct > _DISTINCT or len(self.levels) >= _MOST_LEVELS or self.like["long"] > values * (1 - _MOSTLY):
            free = self.like["long"] > values * (1 - _MOSTLY) or self.words > values * _WORDS_OF_TEXT
            return "is free text" if free else "names the rows: nearly each value is another"
        if max(self.levels.values()) < LEAST_ROWS:
            return f"has no value that {LEAST_ROWS} rows share"
        return None


def _likeness(cell: object, missing: Collection[str]) -> tuple[str, Any]:
    """What a cell could be, and its value, None where it is missing."""
    for kind in ("number", "date", "truth"):
        try:
            return kind, read_cell(cell, kind, missing)
        except WrongCell:
            continue
    if not isinstance(cell, str):
        return "nothing", str(cell)[:LONGEST]
    if _OTHER_DATE.match(cell.strip()):
        return "other date", cell
    if _OTHER_NUMBER.fullmatch(cell.strip()):
        return "other number", cell
    return "long" if len(cell) > LONGEST else "word", cell[:LONGEST]
