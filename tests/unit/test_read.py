"""Reading rows: every format gives the same values, numbered as an editor numbers them."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from boatyard.config import Data, load_config
from boatyard.data.read import Source, find_sources
from boatyard.errors import UserError

pytestmark = pytest.mark.unit

COLUMNS = ("body", "topic")
ROWS = [["one, two", "a"], ['say "hi"\nagain', "b"], ["drei", "a"]]


def data(path: Path | None, *overrides: str) -> Data:
    given = "null" if path is None else str(path)
    return load_config(["data=csv", f"data.path={given}", "data.name=x", *overrides]).data


def only(path: Path) -> Source:
    (source,) = find_sources(data(path))
    return source


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
    found = list(only(tmp_path / name).rows(COLUMNS))
    assert [values for _, values in found] == ROWS
    assert [number for number, _ in found] == numbers


@pytest.mark.parametrize("name", ["x.csv", "x.tsv", "x.jsonl", "x.parquet"])
def test_a_missing_column_is_named_with_those_that_are_there(tmp_path: Path, name: str) -> None:
    write(tmp_path / name)
    with pytest.raises(UserError, match=rf"^{name}: column 'text' is missing; the file's columns are .*'body'"):
        list(only(tmp_path / name).rows(["text"]))


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("x.csv", 'body,topic\n"a,b\n', r"x\.csv, row \d: not well-formed CSV"),
        ("x.csv", 'body,topic\n"a" b,c\n', r"x\.csv, row 2: not well-formed CSV"),
        ("x.jsonl", '{"body": "a", "topic": "b"}\n{"body', r"x\.jsonl, row 2: not JSON"),
        ("x.csv", "topic,body\na,fine\na,one, two\n", r"x\.csv, row 3: 3 cells where the header names 2"),
        ("x.jsonl", "[" * 100_000, r"x\.jsonl, row 1: not JSON"),
        ("x.jsonl", "[1]\n", r"x\.jsonl, row 1: expected a JSON object, found list"),
        ("x.parquet", "PAR?", r"x\.parquet: not a Parquet file"),
        ("x.csv", "", r"x\.csv: column 'body' is missing; the file's columns are none"),
    ],
)
def test_a_malformed_file_is_one_sentence_with_its_row(tmp_path: Path, name: str, content: str, sentence: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=sentence):
        list(only(tmp_path / name).rows(COLUMNS))


def test_a_row_that_is_too_short_has_no_value_there(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("body,topic\nalone\n")
    assert list(only(tmp_path / "x.csv").rows(COLUMNS)) == [(2, ["alone", None])]


def test_empty_cells_behind_the_last_column_are_not_minded(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("body,topic\none,a,,\n")
    assert list(only(tmp_path / "x.csv").rows(COLUMNS)) == [(2, ["one", "a"])]


def test_bytes_that_are_no_utf_8_come_through_for_validation_to_name(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(b"body,topic\ncaf\xe9,a\n")
    (tmp_path / "x.jsonl").write_bytes(b'{"body": "caf\xe9", "topic": "a"}\n')
    for name in ("x.csv", "x.jsonl"):
        ((_, (body, _)),) = only(tmp_path / name).rows(COLUMNS)
        assert body.encode(errors="surrogateescape") == b"caf\xe9"


def test_a_folder_gives_a_source_for_each_split_file(tmp_path: Path) -> None:
    for name in ("train.csv", "Val.jsonl", "test.parquet", "notes.csv"):
        write(tmp_path / name)
    assert {source.name: source.split for source in find_sources(data(tmp_path))} == {
        "train.csv": "train",
        "Val.jsonl": "validation",
        "test.parquet": "test",
    }


def test_a_folder_without_training_rows_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "test.csv")
    with pytest.raises(UserError, match="no training file there; expected train"):
        find_sources(data(tmp_path))


def test_an_unknown_suffix_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    (tmp_path / "x.xlsx").touch()
    with pytest.raises(UserError, match=r"cannot read \.xlsx; expected \.csv, \.tsv"):
        find_sources(data(tmp_path / "x.xlsx"))


def test_the_digest_follows_the_content(tmp_path: Path) -> None:
    write(tmp_path / "x.csv")
    before = only(tmp_path / "x.csv").digest
    (tmp_path / "x.csv").write_text("body,topic\nother,a\n")
    assert only(tmp_path / "x.csv").digest != before


def test_a_data_set_in_the_hubs_layout_is_read_with_its_columns_renamed(tmp_path: Path) -> None:
    for split in ("train", "test"):
        pq.write_table(pa.table({"text": ["a", "b"], "name": ["x", "y"]}), tmp_path / f"{split}-00000.parquet")
    given = data(None, f"++data.hub.id={tmp_path}", "++data.hub.rename={name: topic}")
    sources = find_sources(given)
    assert {source.split for source in sources} == {"train", "test"}
    assert list(sources[0].rows(["text", "topic"])) == [(1, ["a", "x"]), (2, ["b", "y"])]


def test_a_hub_that_cannot_be_reached_is_one_sentence_that_says_how_to_go_on() -> None:
    given = data(None, "++data.hub.id=/nowhere/at/all")
    with pytest.raises(UserError, match=r"give the rows with data\.path=FILE_OR_FOLDER"):
        find_sources(given)
