"""Tables from files to prepared rows: what is found, what is refused, how rows are split."""

import csv
import json
import random
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from boatyard.config.compose import load_config
from boatyard.config.errors import UserError
from boatyard.data.encode import encode
from boatyard.data.prepare import Prepared, prepare
from boatyard.inputs.table.columns import read_columns
from boatyard.inputs.training_protocol import ROW

pytestmark = pytest.mark.integration

Rows = list[dict[str, Any]]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def boats(rows: int = 400) -> Rows:
    """Of another domain: dates, truth values, missing values, an id and free text."""
    chance = random.Random(0)
    made = []
    for number in range(rows):
        length, is_steel = round(chance.uniform(5, 20), 1), chance.random() < 0.4
        made.append(
            {
                "": number,
                "boat_id": f"B-{chance.randint(10**6, 10**7)}",
                "length": length if chance.random() > 0.1 else "",
                "hull": "steel" if is_steel else chance.choice(["wood", "plastic", "NA"]),
                "launched": (date(1990, 1, 1) + timedelta(chance.randint(0, 9_000))).isoformat(),
                "sails": chance.choice(["true", "false"]),
                "flag": "nl",
                "owner": chance.randint(0, 40),
                "remarks": " ".join(chance.choices(["leaks", "old", "new", "fast", "green", "in", "need"], k=9)),
                "price": round(length * (900 if is_steel else 600) * chance.uniform(0.9, 1.1)),
            }
        )
    return made


def write(rows: Rows, file: str = "boats.csv") -> None:
    path = Path(file)
    if path.suffix == ".parquet":
        pq.write_table(
            pa.Table.from_pylist([{key or "x": str(value) for key, value in row.items()} for row in rows]), path
        )
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        with path.open("w", newline="") as opened:
            table = csv.DictWriter(opened, list(rows[0]))
            table.writeheader()
            table.writerows(rows)


def prepared(*overrides: str, file: str = "boats.csv", target: str = "price") -> Prepared:
    given = ("data=table", f"data.path={file}", "data.name=boats", f"data.target={target}")
    return prepare(load_config([*given, *overrides]))


def report() -> dict[str, Any]:
    facts: dict[str, Any] = json.loads(Path("reports/data/boats/report.json").read_text())
    return facts


FOUND = {"length": "number", "hull": "category", "launched": "date", "sails": "truth", "owner": "number"}


@pytest.mark.parametrize("file", ["boats.csv", "boats.jsonl", "boats.parquet"])
def test_kinds_are_found_and_what_tells_nothing_is_named(file: str) -> None:
    write(boats(), file)
    rows = prepared(file=file)
    assert rows.data.columns == FOUND  # type: ignore[attr-defined]
    assert rows.fields == list(FOUND)
    left_out = report()["left_out"]
    assert left_out.keys() == {"x" if file.endswith("parquet") else "", "boat_id", "flag", "remarks"}
    assert report()["missing"]["hull"].keys() == {"NA"}
    text = Path("reports/data/boats/report.md").read_text()
    assert "| flag | has the same value in each row |" in text
    assert "hull: 'NA'" in text
    assert Path("reports/data/boats/columns.png").stat().st_size > 1000


def test_what_is_prepared_already_is_the_same_as_when_it_was() -> None:
    write(boats())
    assert prepared().data == prepared().data


def test_columns_can_be_said_and_dropped() -> None:
    write(boats())
    rows = prepared("data.columns={owner: category}", "data.drop=[sails]")
    assert rows.data.columns == {**{k: v for k, v in FOUND.items() if k != "sails"}, "owner": "category"}  # type: ignore[attr-defined]
    assert report()["left_out"]["sails"] == "is in data.drop"


def test_network_inputs_are_as_columns_say() -> None:
    write(boats())
    config = load_config(["data=table", "data.path=boats.csv", "data.name=boats", "data.target=price"])
    encoded = encode(config, prepare(config))
    row = encoded.splits["train"][0]
    assert (len(row["numbers"]), len(row["categories"])) == (6, 1)
    hull = read_columns(encoded.folder).by_name["hull"]
    assert hull.levels == ("plastic", "steel", "wood")
    assert not hull.always


def test_a_table_may_have_categories_alone_and_rows_that_are_alike() -> None:
    write([{"hull": row["hull"], "owner": f"owner {row['owner'] % 9}", "price": row["price"]} for row in boats()])
    config = load_config(["data=table", "data.path=boats.csv", "data.name=boats", "data.target=price"])
    encoded = encode(config, prepare(config))
    assert sum(map(len, encoded.splits.values())) == 400
    row = encoded.splits["train"][0]
    assert (len(row["numbers"]), len(row["categories"])) == (0, 2)


@pytest.mark.parametrize(
    ("change", "overrides", "message"),
    [
        (
            {"length": "long"},
            (),
            r"boats\.csv, row 9, column 'length': holds 'long'; expected a number such as 1234\.5",
        ),
        ({"launched": "soon"}, (), r"row 9, column 'launched': holds 'soon'; expected a date such as 2024-05-31"),
        ({"price": ""}, (), r"row 9, column 'price': has no value; every row needs a number"),
        ({"price": "inf"}, (), r"row 9, column 'price': holds inf; expected a number between"),
        (dict.fromkeys(FOUND, ""), (), r"row 9: has no value in any column"),
        (
            {},
            ("data.columns={lenght: number}",),
            r"boats\.csv: column 'lenght' is missing; .*'length'.* \(data\.columns and",
        ),
        ({}, ("data.drop=[lenght]",), r"data\.drop: there is no column 'lenght'"),
        ({}, ("data.drop=[price]",), r"data\.drop: 'price' is the target"),
        ({}, ("data.columns={price: number}",), r"data\.columns: 'price' is the target"),
        ({}, ("data.target=prize",), r"column 'prize' is missing"),
        (
            {},
            ("data.drop=[length,hull,launched,sails,owner]",),
            r"no column is left to learn from: .*'flag' has the same",
        ),
        ({"launched": ""}, ("data.split_by_date=launched",), r"row 9, column 'launched': says ''; to split by it"),
        ({}, ("data.split_by_date=launched", "data.group_column=owner"), r"split_by_date and group_column contradict"),
    ],
)
def test_what_cannot_be_used_is_named(change: Mapping[str, Any], overrides: Sequence[str], message: str) -> None:
    rows = boats()
    rows[7] |= change
    write(rows)
    with pytest.raises(UserError, match=message):
        prepared(*overrides)


def test_a_word_that_means_missing_can_be_said() -> None:
    rows = boats()
    rows[7]["length"] = "unknown"
    write(rows)
    assert prepared("data.missing=['',unknown]").fields == list(FOUND)


def test_a_column_that_gives_the_target_away_is_warned_of() -> None:
    write([{**row, "tax": row["price"] * 0.21} for row in boats()])
    prepared()
    (leak,) = [issue for issue in report()["issues"] if issue["kind"] == "leak"]
    assert (leak["column"], leak["severity"]) == ("tax", "warning")
    assert "is it known beforehand" in leak["message"]


def test_the_newest_rows_are_the_test_split() -> None:
    write(boats())
    splits = prepared("data.split_by_date=launched").splits
    days = {split: rows["launched"][:] for split, rows in splits.items()}
    assert max(days["train"]) < min(days["validation"])
    assert max(days["validation"]) < min(days["test"])
    assert len(days["test"]) / 400 == pytest.approx(0.2, abs=0.02)
    assert len(days["validation"]) / 400 == pytest.approx(0.1, abs=0.02)


def test_rows_of_a_day_are_never_parted() -> None:
    write([{**row, "launched": row["launched"][:4] + "-01-01"} for row in boats()])
    splits = prepared("data.split_by_date=launched").splits
    days = [set(rows["launched"][:]) for rows in splits.values()]
    assert not (days[0] & days[1] | days[1] & days[2] | days[0] & days[2])


@pytest.mark.parametrize(
    ("key", "column", "value", "says"),
    [
        ("group_column", "owner", "EFE", "no row is left for validation; more values of 'owner' are needed"),
        ("split_by_date", "launched", "2001-01-01", "no row with a number is left to train on"),
    ],
)
def test_one_group_or_day_is_nothing_to_split_by(key: str, column: str, value: str, says: str) -> None:
    write([{**row, column: value} for row in boats()])
    with pytest.raises(UserError, match=says):
        prepared(f"data.{key}={column}")
    assert column in [issue["column"] for issue in report()["issues"] if issue["kind"] == "small_split"]


def test_a_header_alone_is_no_table() -> None:
    Path("boats.csv").write_text("length,price\n")
    with pytest.raises(UserError, match=r"^boats\.csv: there is no row to learn from$"):
        prepared()


def test_rows_of_a_group_are_never_parted_and_the_group_is_no_column() -> None:
    rows = boats()
    write(rows)
    split = prepared("data.group_column=owner")
    assert "owner" not in split.fields
    owners = [{rows[number - 2]["owner"] for number in part[ROW]} for part in split.splits.values()]
    assert all(owners)
    assert not (owners[0] & owners[1] | owners[1] & owners[2] | owners[0] & owners[2])


SPELT = {
    "zero": [0, "0", " 0"],
    "accents": ["José Núñez", "Jose\u0301 Nu\u0301n\u0303ez", "José Núñez ", "\u200bJosé Núñez\u00a0"],
    "truth": [False],
}


@pytest.mark.parametrize("spellings", SPELT.values(), ids=SPELT)
def test_a_group_is_one_however_its_name_is_spelt(spellings: list[object]) -> None:
    rows = [
        {**row, "owner": spellings[number % len(spellings)] if number < 60 else f"other {number}"}
        for number, row in enumerate(boats())
    ]
    Path("boats.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    split = prepared("data.group_column=owner", file="boats.jsonl")
    owners = [[rows[number - 1]["owner"] for number in part[ROW]] for part in split.splits.values()]
    assert sum(any(owner in spellings for owner in part) for part in owners) == 1


def test_a_row_of_no_group_is_warned_of() -> None:
    nobody: list[object] = [None, "", " \u00a0"]
    rows = [{**row, "owner": nobody[number] if number < len(nobody) else number} for number, row in enumerate(boats())]
    Path("boats.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    prepared("data.group_column=owner", file="boats.jsonl")
    told = [(issue["row"], issue["column"]) for issue in report()["issues"] if issue["kind"] == "no_group"]
    assert told == [(number, "owner") for number in range(1, 1 + len(nobody))]


def test_a_split_that_large_groups_leave_small_is_warned_of() -> None:
    write([{**row, "owner": min(number, 60)} for number, row in enumerate(boats())])
    prepared("data.group_column=owner")
    small = [issue["message"] for issue in report()["issues"] if issue["kind"] == "small_split"]
    assert [message.split()[1] for message in small] == ["validation", "test"]


OF_TEST = 902  # a group whose hash puts it there


def test_a_split_that_a_large_group_swells_is_warned_of() -> None:
    write([{**row, "owner": min(number, OF_TEST)} for number, row in enumerate(boats(), OF_TEST - 200)])
    prepared("data.group_column=owner")
    (large,) = [issue["message"] for issue in report()["issues"] if issue["kind"] == "large_split"]
    assert large.startswith("leaves test ")
    assert large.endswith(": so much less is learnt from")


def test_classes_are_told_by_columns_too() -> None:
    write([{**row, "dear": "yes" if row["price"] > 8_000 else "no"} for row in boats()])
    prepared("data.task=classification", target="dear")
    issues = report()["issues"]
    assert [issue["column"] for issue in issues if issue["kind"] == "leak"] == ["price"]
