"""A job's answers as CSV: the columns are the schema's, and a cell holds what JSON has."""

import csv
import io
import json
from typing import Any

import pytest

from boatyard.api.jobs.as_csv import AsCsv

pytestmark = pytest.mark.unit

NUMBER = {"type": "number"}
SCHEMA = {
    "type": "object",
    "properties": {
        "value": NUMBER,
        "place": {"type": ["object", "null"], "properties": {"at": {"properties": {"x": NUMBER, "y": NUMBER}}}},
        "open": {"type": "object"},
        "list": {"type": "array", "items": {"type": "object", "properties": {"x": NUMBER}}},
        "name": {"type": ["string", "null"]},
        "sure": {"type": "boolean"},
    },
}
NAMES = ["row", "id", "value", "place.at.x", "place.at.y", "open", "list", "name", "sure", "truncated", "error"]


def read(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode(), newline=""), strict=True))


def row(**line: Any) -> dict[str, str]:
    (cells,) = read(AsCsv(SCHEMA).rows(json.dumps(line).encode() + b"\n"))
    return {name: cell for name, cell in zip(NAMES, cells, strict=True) if cell}


def test_columns_are_those_of_the_schema_whatever_the_rows_hold() -> None:
    as_csv = AsCsv(SCHEMA)
    assert read(as_csv.header) == [NAMES]
    assert {len(cells) for cells in read(as_csv.rows(b'{"row":1,"error":"no"}\n{"row":2,"id":"a"}\n'))} == {len(NAMES)}
    assert as_csv.rows(b"") == b""


def test_a_row_that_its_client_names_says_so() -> None:
    as_csv = AsCsv({"properties": {"label": {}}}, ["name"])
    assert read(as_csv.header) == [["row", "id", "name", "label", "truncated", "error"]]
    lines = b'{"row":1,"id":"7","name":"blaTEM","label":"A","truncated":false}\n{"row":2,"error":"no"}\n'
    assert [cells[:4] for cells in read(as_csv.rows(lines))] == [["1", "7", "blaTEM", "A"], ["2", "", "", ""]]


def test_nested_values_have_cells_of_their_own_and_lists_are_json() -> None:
    answer = {"place": {"at": {"x": 1.5, "y": None}}, "list": [{"x": 1}], "open": {"a": "é"}}
    assert row(**answer) == {"place.at.x": "1.5", "list": '[{"x":1}]', "open": '{"a":"é"}'}
    assert row(place=None, value=2) == {"value": "2"}


@pytest.mark.parametrize("number", [0, -0.1, 1e5, 1e-07, 0.1 + 0.2, 123456789012345680000, 5e-324])
def test_a_number_has_all_its_digits(number: float) -> None:
    assert json.loads(row(value=number)["value"]) == number


@pytest.mark.parametrize("text", ["1e5", "true", 'a "b", c', "two\r\nlines", "\r", "=1+1", "-", "@a", "日本 é", " x "])
def test_a_text_is_as_it_was(text: str) -> None:
    assert row(name=text, sure=True) == {"name": text, "sure": "true"}
