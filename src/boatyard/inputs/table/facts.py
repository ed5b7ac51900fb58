"""What training rows say of the columns: levels and ranges."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping

from boatyard.inputs.table.cells import Kind, Value
from boatyard.inputs.table.columns import LEAST_ROWS, Column, Columns, Row


def learn_columns(kinds: Mapping[str, Kind], missing: Collection[str], rows: Iterable[Row]) -> Columns:
    """Of rows with a value for each of the `kinds`. They are read once, one after another."""
    facts = [_OfCategory() if kind == "category" else _OfRange() for kind in kinds.values()]
    for row in rows:
        for fact, value in zip(facts, row, strict=True):
            fact.add(value)
    columns = (fact.column(name, kind) for fact, (name, kind) in zip(facts, kinds.items(), strict=True))
    return Columns(tuple(columns), tuple(missing))


class _OfCategory:
    def __init__(self) -> None:
        self._levels: Counter[Value] = Counter()

    def add(self, value: Value) -> None:
        self._levels[value] += 1

    def column(self, name: str, kind: Kind) -> Column:
        levels = sorted(str(level) for level, rows in self._levels.items() if level is not None and rows >= LEAST_ROWS)
        return Column(name, kind, tuple(levels), always=None not in self._levels)


class _OfRange:
    """Of numbers and dates, whose order is that of their texts; a truth value has no range."""

    def __init__(self) -> None:
        self._lowest: Value = None
        self._highest: Value = None
        self._always = True

    def add(self, value: Value) -> None:
        if value is None:
            self._always = False
            return
        if self._lowest is None or value < self._lowest:  # type: ignore[operator]  # both of one kind
            self._lowest = value
        if self._highest is None or value > self._highest:  # type: ignore[operator]
            self._highest = value

    def column(self, name: str, kind: Kind) -> Column:
        if kind == "truth":
            return Column(name, kind, always=self._always)
        return Column(name, kind, lowest=self._lowest, highest=self._highest, always=self._always)
