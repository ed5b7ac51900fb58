"""A bundle as a pure function of tables: rows in, their answers out, for any input and any task."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa
from pydantic_core import to_json

from boatyard import inputs
from boatyard.bundle.manifest import Card
from boatyard.bundle.predict import Prediction, Predictor
from boatyard.bundle.rows import UNANSWERABLE, InputRow, answer_others, parse
from boatyard.inputs.parquet import cells
from boatyard.inputs.records import is_missing
from boatyard.inputs.texts import readable

NAME, TRUNCATED, VERSION, ERROR = "name", "truncated", "version", "error"

_SCALARS = {"string": pa.string(), "number": pa.float64(), "integer": pa.int64(), "boolean": pa.bool_()}


class Scorer:
    """A function of tables: the same one has the same answers, whatever was scored before."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        self.reads = columns_read(predictor.manifest)
        self.schema = answer_schema(predictor.manifest)
        parts = predictor.manifest.answer_schema.get("properties", {})
        asked = predictor.manifest.request_schema.get("properties", {})
        self._base64 = {name for name, part in asked.items() if part.get("contentEncoding") == "base64"}
        self._naming = _naming_field(predictor.manifest)
        self._as_json = {name for name, part in parts.items() if arrow_type(part) is None}

    def __call__(self, table: pa.Table) -> pa.Table:
        """A row for each of the table's: its columns that the model does not read, and `schema`'s."""
        names = [name for name in table.column_names if name in self.reads]
        columns = [cells(table[name]) for name in names]
        rows = [
            InputRow(index + 1, 0, {name: column[index] for name, column in zip(names, columns, strict=True)})
            for index in range(len(table))
        ]
        carried = [name for name in table.column_names if name not in self.reads]
        return beside({name: table[name] for name in carried}, self.answer(rows))

    def answer(self, rows: Sequence[InputRow]) -> pa.Table:
        """`schema`'s columns alone. A row that cannot be answered has an `error`, and nulls besides."""
        parsed = [parse(self._predictor, self._as_sent(row)) for row in rows]
        good = [each.row for each in parsed if each.wrong is None]
        answers = iter(answer_others(self._predictor, good, [self._predictor.default_options] * len(good)))
        cells = [
            self._cells(row, next(answers) if each.wrong is None else None, each.wrong or UNANSWERABLE)
            for row, each in zip(rows, parsed, strict=True)
        ]
        columns = [pa.array([row.get(field.name) for row in cells], field.type) for field in self.schema]
        return pa.Table.from_arrays(columns, schema=self.schema)

    def _as_sent(self, row: InputRow) -> InputRow:
        if not isinstance(row.fields, dict):
            return row
        fields = {name: as_sent(value, base64=name in self._base64) for name, value in row.fields.items()}
        return replace(row, fields=fields)

    def _cells(self, row: InputRow, prediction: Prediction | None, wrong: str) -> dict[str, Any]:
        version = self._predictor.manifest.version
        if prediction is None:
            return {NAME: self._sent_name(row), VERSION: version, ERROR: wrong}
        answer = {
            name: to_json(value).decode() if name in self._as_json else value
            for name, value in prediction.answer.items()
        }
        return {NAME: prediction.name, **answer, TRUNCATED: prediction.truncated, VERSION: version}

    def _sent_name(self, row: InputRow) -> str | None:
        """By which a row that has no answer is found again."""
        name = row.fields.get(self._naming) if isinstance(row.fields, dict) else None
        return readable(name) if isinstance(name, str) else None


def as_sent(value: Any, *, base64: bool) -> Any:
    """A cell as an input reads it. Bytes of Parquet are text, as those of CSV are, or become base64, as a picture's."""
    if isinstance(value, bytes):
        return b64encode(value).decode() if base64 else value.decode("utf-8", "surrogateescape")
    return None if is_missing(value) else value


def columns_read(card: Card) -> frozenset[str]:
    """The columns that the model reads."""
    return frozenset(card.request_schema.get("properties", {}))


def answer_schema(card: Card) -> pa.Schema:
    """The columns of an answer: those of its JSON Schema, between what every answer has."""
    named = [(NAME, pa.string())] if _naming_field(card) else []
    parts = {name: arrow_type(part) or pa.string() for name, part in card.answer_schema.get("properties", {}).items()}
    return pa.schema([*named, *parts.items(), (TRUNCATED, pa.bool_()), (VERSION, pa.string()), (ERROR, pa.string())])


def _naming_field(card: Card) -> str | None:
    return getattr(inputs.serving(card.input), "NAMED", None)


def arrow_type(schema: Mapping[str, Any]) -> pa.DataType | None:
    """Of a value with this JSON Schema; None where only JSON can hold it, as an object of any properties."""
    kinds = schema.get("type", "string" if all(isinstance(value, str) for value in schema.get("enum", [0])) else None)
    kinds = [kind for kind in ([kinds] if isinstance(kinds, str) else kinds or []) if kind != "null"]
    if len(kinds) != 1:
        return None
    if kinds == ["array"]:
        items = arrow_type(schema.get("items", {}))
        return None if items is None else pa.list_(items)
    if kinds == ["object"]:
        parts = {name: arrow_type(part) for name, part in schema.get("properties", {}).items()}
        return pa.struct([*parts.items()]) if parts and None not in parts.values() else None
    return _SCALARS.get(kinds[0])


def beside(carried: Mapping[str, Any], answered: pa.Table) -> pa.Table:
    """Both in one table; a carried column whose name an answer has is called row_NAME."""
    names = free_names(list(carried), answered.schema.names)
    return pa.table(
        {
            **dict(zip(names, carried.values(), strict=True)),
            **dict(zip(answered.schema.names, answered.columns, strict=True)),
        }
    )


def free_names(names: Sequence[str], taken: Sequence[str]) -> list[str]:
    """The names, those that are taken with row_ before them."""
    used, free = {*taken}, []
    for name in names:
        while name in used:
            name = f"row_{name}"
        used.add(name)
        free.append(name)
    return free
