"""Reading rows: every format gives the same values, numbered as an editor numbers them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from boatyard.config.compose import load_config
from boatyard.config.errors import UserError
from boatyard.config.schema import Data
from boatyard.inputs.sources import open_tables
from boatyard.inputs.text.rows import columns as text_columns
from boatyard.inputs.training_protocol import Source, SourceRow

pytestmark = pytest.mark.unit

COLUMNS = ("body", "topic")
KEYS = "data.text_columns and data.target"
ROWS = [["one, two", "a"], ['say "hi"\nagain', "b"], ["drei", "a"]]


def data(path: Path | None, *overrides: str) -> Data:
    rows = "null" if path is None else str(path)
    return load_config(["data=csv", f"data.path={rows}", "data.name=x", "data.target=topic", *overrides]).data


def sources(data: Data, columns: Sequence[str] = COLUMNS) -> list[Source]:
    return open_tables(data, columns, Path("cache"), KEYS)


def rows(path: Path, columns: Sequence[str] = COLUMNS) -> list[SourceRow]:
    (source,) = sources(data(path), columns)
    return list(source.rows())


def values(row: SourceRow, columns: Sequence[str] = COLUMNS) -> list[Any]:
    return [row.cells.get(column) for column in columns]


def write(path: Path) -> None:
    match path.suffix:
        case ".csv":
            path.write_text('\ufeffid,topic,body\n1,a,"one, two"\n\n2,b,"say ""hi""\nagain"\n3,a,drei\n')
        case ".tsv":
            path.write_text('id\ttopic\tbody\n1\ta\tone, two\n\n2\tb\t"say ""hi""\nagain"\n3\ta\tdrei\n')
        case ".jsonl":
            lines = [json.dumps({"body": body, "topic": topic}) for body, topic in ROWS]
            path.write_text("\n\n".join(lines))
        case ".parquet":
            pq.write_table(pa.table({"topic": [r[1] for r in ROWS], "body": [r[0] for r in ROWS]}), path)


@pytest.mark.parametrize(
    ("name", "numbers"), [("x.csv", [2, 4, 6]), ("x.tsv", [2, 4, 6]), ("x.jsonl", [1, 3, 5]), ("x.parquet", [1, 2, 3])]
)
def test_every_format_gives_the_same_rows_with_the_line_where_each_begins(
    tmp_path: Path, name: str, numbers: list[int]
) -> None:
    write(tmp_path / name)
    read = rows(tmp_path / name)
    assert [values(row) for row in read] == ROWS
    assert [row.number for row in read] == numbers


@pytest.mark.parametrize("name", ["x.csv", "x.tsv", "x.jsonl", "x.parquet"])
def test_a_missing_column_is_named_with_those_that_are_there(tmp_path: Path, name: str) -> None:
    write(tmp_path / name)
    with pytest.raises(UserError, match=rf"^{name}: column 'text' is missing; the file's columns are .*'body'"):
        rows(tmp_path / name, ["text"])


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("x.csv", b"", "x.csv has no header line"),
        ("x.csv", "body,topic\none,a\n".encode("utf-16"), "x.csv is UTF-16 text .*; save it as UTF-8"),
        ("x.jsonl", b"PK\x03\x04", "x.jsonl is a ZIP archive or an Excel workbook"),
        ("x.csv", b"body,topic,body\none,a,b\n", "x.csv names column 'body' twice"),
        ("x.csv", b'[{"body": "one", "topic": "a"}]', "x.csv is JSON; save it as JSON Lines"),
        ("x.csv", b'{"body": "one", "topic": "a"}\n', "x.csv is JSON; save it as JSON Lines"),
        ("x.csv", "текст,тема\n".encode("utf-16-le"), "x.csv names its columns with control characters"),
        ("x.parquet", b"", "x.parquet: not a Parquet file"),
        ("x.parquet", b"PAR?", "x.parquet: not a Parquet file"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_sentence(tmp_path: Path, name: str, content: bytes, sentence: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=sentence):
        rows(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "content", "number", "wrong"),
    [
        ("x.csv", 'body,topic\n"a,b\nc,d\n', 2, "opens a quote that is never closed"),
        ("x.csv", "topic,body\na,fine\na,one, two\n", 3, "has 3 cells where the header names 2"),
        ("x.csv", "body,topic\nalone\n", 2, "has 1 cell where the header names 2"),
        ("x.jsonl", '{"body": "a", "topic": "b"}\n{"body', 2, "is not JSON"),
        ("x.jsonl", '[1]\n{"body": "a", "topic": "b"}\n', 1, "is JSON, but not an object"),
    ],
)
def test_a_malformed_row_comes_with_its_number_and_text_and_does_not_end_the_file(
    tmp_path: Path, name: str, content: str, number: int, wrong: str
) -> None:
    (tmp_path / name).write_text(content)
    read = rows(tmp_path / name)
    (bad,) = [row for row in read if row.wrong is not None]
    assert bad.number == number
    assert bad.wrong is not None
    assert bad.wrong.startswith(wrong)
    assert bad.text == content.splitlines()[number - 1]
    assert len(read) == len(content.splitlines()) - (not name.endswith("jsonl"))


def test_a_json_object_may_lack_what_others_have(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text('\n{"topic": "a"}\n{"body": "b", "topic": "a"}\n')
    assert [values(row) for row in rows(tmp_path / "x.jsonl")] == [[None, "a"], ["b", "a"]]


@pytest.mark.parametrize(("header", "column"), [("caf\u00e9 ", "cafe\u0301"), ("cafe\u0301", " caf\u00e9")])
def test_a_column_is_the_same_however_its_accent_is_encoded(tmp_path: Path, header: str, column: str) -> None:
    (tmp_path / "x.csv").write_text(f"{header},topic\none,a\n")
    columns = [*text_columns(data(tmp_path / "x.csv", f"data.text_columns=['{column}']")), "topic"]
    assert [values(row, columns) for row in rows(tmp_path / "x.csv", columns)] == [["one", "a"]]


def test_empty_cells_behind_the_last_column_are_not_minded(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("body,topic\none,a,,\n")
    assert rows(tmp_path / "x.csv") == [SourceRow(2, {"body": "one", "topic": "a"})]


def test_a_damaged_page_of_parquet_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    bodies = [f"number {i} of many" for i in range(4000)]
    table = pa.table({"body": bodies, "topic": ["a"] * len(bodies)})
    pq.write_table(table, path, row_group_size=1000, compression="gzip", use_dictionary=False)
    content = bytearray(path.read_bytes())
    at = len(content) * 3 // 4
    content[at : at + 100] = bytes(100)
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"^x\.parquet: not a Parquet file, or damaged \(\S"):
        rows(path)


@pytest.mark.parametrize("name", ["body", "body ", "\u200bbody"])
def test_parquet_with_two_columns_of_one_name_is_refused(tmp_path: Path, name: str) -> None:
    pq.write_table(pa.Table.from_arrays([pa.array(["a"])] * 3, ["body", "topic", name]), tmp_path / "x.parquet")
    with pytest.raises(UserError, match=r"x\.parquet names column 'body' twice"):
        rows(tmp_path / "x.parquet")


@pytest.mark.parametrize(
    ("array", "value"),
    [
        (pa.array(["a", None]).dictionary_encode(), "a"),
        (pa.array(["a", None], pa.large_string()), "a"),
        (pa.array([b"caf\xe9"]).view(pa.string()), "caf\udce9"),
        (pa.array([b"caf"]), b"caf"),
        (pa.array([[1, 2]]), [1, 2]),
        (pa.array([{"a": 1}]), {"a": 1}),
        (pa.array([1.5]), 1.5),
    ],
    ids=["dictionary", "large", "no UTF-8", "bytes", "list", "struct", "float"],
)
def test_parquet_of_any_type_is_read_for_validation_to_judge(tmp_path: Path, array: Any, value: object) -> None:
    pq.write_table(pa.table({"body": array, "topic": ["a"] * len(array)}), tmp_path / "x.parquet")
    assert rows(tmp_path / "x.parquet")[0] == SourceRow(1, {"body": value, "topic": "a"})


def test_bytes_that_are_no_utf_8_come_through_for_validation_to_name(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(b"body,topic\ncaf\xe9,a\n")
    (tmp_path / "x.jsonl").write_bytes(b'{"body": "caf\xe9", "topic": "a"}\n')
    for name in ("x.csv", "x.jsonl"):
        (row,) = rows(tmp_path / name)
        assert row.cells["body"].encode(errors="surrogateescape") == b"caf\xe9"


def test_a_folder_gives_a_source_for_each_split_file(tmp_path: Path) -> None:
    for name in ("train.csv", "Val.jsonl", "test.parquet", "notes.csv"):
        write(tmp_path / name)
    assert {source.name: source.split for source in sources(data(tmp_path))} == {
        "train.csv": "train",
        "Val.jsonl": "validation",
        "test.parquet": "test",
    }


def test_a_folder_without_training_rows_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "test.csv")
    with pytest.raises(UserError, match="no training file there; expected train"):
        sources(data(tmp_path))


def test_an_unknown_suffix_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    (tmp_path / "x.xlsx").touch()
    with pytest.raises(UserError, match=r"cannot read \.xlsx; expected \.csv, \.tsv"):
        sources(data(tmp_path / "x.xlsx"))


def digest(path: Path) -> str:
    (source,) = sources(data(path))
    return source.digest


def test_the_digest_follows_the_content(tmp_path: Path) -> None:
    write(tmp_path / "x.csv")
    before = digest(tmp_path / "x.csv")
    (tmp_path / "x.csv").write_text("body,topic\nother,a\n")
    assert digest(tmp_path / "x.csv") != before


def test_a_data_set_in_the_hubs_layout_is_read_with_its_columns_renamed(tmp_path: Path) -> None:
    for split in ("train", "test"):
        pq.write_table(pa.table({"text": ["a", "b"], "name": ["x", "y"]}), tmp_path / f"{split}-00000.parquet")
    hub = data(None, f"++data.hub.id={tmp_path}", "++data.hub.rename={name: topic}")
    splits = sources(hub, ["text", "topic"])
    assert {source.split for source in splits} == {"train", "test"}
    assert list(splits[0].rows()) == [
        SourceRow(1, {"text": "a", "topic": "x"}),
        SourceRow(2, {"text": "b", "topic": "y"}),
    ]


def test_a_hub_that_cannot_be_reached_is_one_sentence_that_says_how_to_go_on() -> None:
    hub = data(None, "++data.hub.id=/nowhere/at/all")
    with pytest.raises(UserError, match=r"give the rows with data\.path=FILE_OR_FOLDER"):
        sources(hub)
