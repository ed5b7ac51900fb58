"""Requests to rows of a table: what is no row is refused with what would be right."""

import json
import math
from typing import Any

import jsonschema
import pytest

from boatyard.inputs.protocol import InvalidInput
from boatyard.inputs.table.cells import MISSING, Kind
from boatyard.inputs.table.facts import learn_columns
from boatyard.inputs.table.serving import TableInput, request_schema

pytestmark = pytest.mark.unit

KINDS: dict[str, Kind] = {"area": "number", "type": "category", "sold": "date", "lift": "truth"}
COLUMNS = learn_columns(
    KINDS, MISSING, [(22.0, "flat", "2019-01-01", True), *[(420.0, "house", "2024-12-31", None)] * 9]
)
TABLE = TableInput(COLUMNS)
WHOLE = {"area": 78, "type": "house", "sold": "2024-05-31", "lift": True}


def test_a_request_is_a_row_whatever_types_it_has() -> None:
    row = (78.0, "house", "2024-05-31", True)
    assert TABLE.parse(WHOLE) == row
    assert TABLE.parse({"area": "78", "type": "house", "sold": "2024-05-31", "lift": "true"}) == row


def test_what_may_be_missing_is_null_empty_or_not_there() -> None:
    assert TABLE.parse({"area": None, "type": "", "sold": "2024-05-31"}) == (None, None, "2024-05-31", None)


@pytest.mark.parametrize(
    ("request_", "message", "pointer"),
    [
        ([], "an object with a value for each column", ""),
        ({**WHOLE, "aera": 78}, "unknown field 'aera'; did you mean area?", ""),
        ({**WHOLE, "x" * 1000: 78}, "unknown field 'x{40}'; there are: area, type", ""),
        ({"area": 78, "type": "flat"}, '"sold" is missing; it may be null where it is not known', "/sold"),
        (dict.fromkeys(WHOLE), "the input has no value", ""),
        ({**WHOLE, "area": "large"}, "\"area\" holds 'large'; expected a number such as 1234.5", "/area"),
        ({**WHOLE, "type": {}}, '"type" holds {}; expected a word or a number', "/type"),
        ({**WHOLE, "sold": "yesterday"}, "\"sold\" holds 'yesterday'; expected a date such as 2024-05-31", "/sold"),
        ({**WHOLE, "lift": "perhaps"}, "\"lift\" holds 'perhaps'; expected true or false", "/lift"),
    ],
)
def test_a_request_that_is_no_row_is_refused(request_: Any, message: str, pointer: str) -> None:
    with pytest.raises(InvalidInput, match=message) as refused:
        TABLE.parse(request_)
    assert refused.value.pointer == pointer


def test_a_column_with_a_slash_is_pointed_at() -> None:
    table = TableInput(learn_columns({"a/b~c": "number"}, (), [(1.0,)]))
    with pytest.raises(InvalidInput) as refused:
        table.parse({"a/b~c": "x"})
    assert refused.value.pointer == "/a~1b~0c"


def test_the_schema_takes_what_is_missing_and_levels_that_training_has_not() -> None:
    schema = request_schema(COLUMNS)
    json.dumps(schema, allow_nan=False)
    without_lift = {"area": 78, "type": "house", "sold": "2024-05-31"}
    for request_ in (WHOLE, {**WHOLE, "type": "castle"}, dict.fromkeys(WHOLE), without_lift):
        jsonschema.validate(request_, schema)
    for wrong in ({**WHOLE, "area": "large"}, {**WHOLE, "more": 1}, {"area": 78}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, schema)
    assert schema["properties"]["area"]["description"] == "22 to 420 in training"
    assert schema["properties"]["type"]["examples"] == ["house"]


def test_each_column_but_dates_is_watched_and_what_is_missing_is_counted() -> None:
    rows = [TABLE.parse(WHOLE), TABLE.parse({"area": None, "type": None, "sold": "2024-05-31"})]
    encoded = TABLE.encode(rows)
    described = TABLE.describe(rows, encoded)
    assert [column.name for column in TABLE.described] == list(described) == ["input.area", "input.type", "input.lift"]
    assert described["input.area"][0] == 78
    assert math.isnan(described["input.area"][1])
    assert (described["input.type"], described["input.lift"]) == (["house", ""], ["true", ""])
    assert [TABLE.measure(row) for row in encoded] == [{"missing": 0}, {"missing": 3}]
