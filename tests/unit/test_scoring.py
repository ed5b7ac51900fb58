"""Scoring files: a bundle as a function of tables, files cut into slices, and the plan that a run goes on by."""

import json
import os
import random
import shutil
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bundles import LABELS, publish_in_production, write_bundle
from pictures import BLUE, RED, plain, publish_pictures
from scoring import answers, assert_as_predicted, score_here

from boatyard.bundle.manifest import open_bundle
from boatyard.bundle.predict import Predictor
from boatyard.bundle.rows import CHUNK_BYTES, InputRow, rows_of
from boatyard.config.cli import run
from boatyard.config.errors import UserError
from boatyard.inputs.parquet import cells
from boatyard.inputs.protein.fasta import read_fasta
from boatyard.inputs.records import read_records
from boatyard.inputs.sources import open_tables
from boatyard.inputs.table.cells import KINDS, WrongCell, read_cell
from boatyard.score import __main__ as command
from boatyard.score import slices
from boatyard.score.files import Forms, find_files
from boatyard.score.plan import Task, begin, begun, draw_up
from boatyard.score.slices import Chunk, Slice, cut, cut_singles, read
from boatyard.score.table import Scorer, arrow_type, as_sent, free_names
from boatyard.storage import LocalStorage, open_storage

pytestmark = pytest.mark.unit

Score = Callable[..., int]
"""Scores `rows`/ in the test's folder into `out`/."""

ROWS = ["my card was stolen", "", "send it by iban", "what does it cost"]


@pytest.fixture
def predictor(tmp_path: Path) -> Predictor:
    write_bundle(tmp_path / "bundle", poison=["poison"])
    return Predictor(open_bundle(tmp_path / "bundle"), threads=1)


def forms(predictor: Predictor) -> Forms:
    return Forms(predictor.manifest)


def test_a_table_becomes_a_table_with_its_answers_and_a_bad_row_costs_no_other(predictor: Predictor) -> None:
    rows = pa.table({"id": [7, 8, 9, 10], "text": [*ROWS[:3], "poison"], "label": list("abcd")})
    answered = Scorer(predictor)(rows)
    assert answered.column_names[:2] == ["id", "row_label"]
    assert answered["id"].type == pa.int64()
    assert answered["label"].to_pylist() == ["card_lost", None, "transfer", None]
    assert answered["error"].to_pylist() == [None, '"text" is blank', None, "the model cannot answer this input"]
    assert set(answered["version"].to_pylist()) == {predictor.manifest.version}
    assert answered["top"][0].as_py()[0] == {"label": "card_lost", "score": answered["score"][0].as_py()}
    assert answered.schema == Scorer(predictor)(rows.slice(0, 1)).schema
    alone = pa.concat_tables([Scorer(predictor)(rows.slice(index, 1)) for index in range(4)])
    assert alone["label"].to_pylist() == answered["label"].to_pylist()


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "number", "minimum": 0}, pa.float64()),
        ({"enum": LABELS}, pa.string()),
        ({"type": ["string", "null"]}, pa.string()),
        ({"type": "array", "items": {"type": "array", "items": {"type": "number"}}}, pa.list_(pa.list_(pa.float64()))),
        ({"type": "object", "properties": {"x": {"type": "integer"}}}, pa.struct([("x", pa.int64())])),
        ({"type": "object"}, None),
        ({"anyOf": []}, None),
    ],
)
def test_a_json_schema_has_an_arrow_type_or_only_json_can_hold_it(schema: dict, expected: pa.DataType | None) -> None:
    assert arrow_type(schema) == expected


def unchecked(values: list[bytes | None], kind: pa.DataType) -> pa.Array:
    """Strings as some writers leave them: no UTF-8."""
    return pa.Array.from_buffers(kind, len(values), pa.array(values, pa.binary()).buffers())


def valued(cell: Any, kind: Any) -> object:
    try:
        return read_cell(cell, kind, {"", "na"})
    except WrongCell as wrong:
        return str(wrong)


CELLS = {
    "decimal": pa.array([Decimal("1.10"), Decimal("20.00"), None]),
    "date": pa.array([date(2024, 5, 31), None]),
    "far": pa.array([2**31 - 1, 0], pa.int32()).cast(pa.date32()),
    "time": pa.array([datetime(2024, 5, 31, 12, 30)], pa.timestamp("us")),
    "far time": pa.array([2**62, 0], pa.int64()).view(pa.timestamp("us")),
    "duration": pa.array([2**62], pa.int64()).view(pa.duration("s")),
    "clock": pa.array([5], pa.time64("us")),
    "float": pa.array([1.5, float("nan"), float("inf")]),
    "truth": pa.array([True, None]),
    "broken": unchecked([b"caf\xe9", b"na", None], pa.string()),
    "levels": pa.array(["a", "b", "a", None]).dictionary_encode(),
}


@pytest.mark.parametrize("name", CELLS)
def test_a_cell_of_parquet_is_to_a_model_what_it_was_in_training(tmp_path: Path, name: str) -> None:
    pq.write_table(pa.table({"cell": CELLS[name]}), tmp_path / "rows.parquet")
    data: Any = SimpleNamespace(path=str(tmp_path / "rows.parquet"))
    (source,) = open_tables(data, ["cell"], tmp_path, "data.columns")
    trained = [row.cells["cell"] for row in source.rows()]
    scored = [as_sent(cell, base64=False) for cell in cells(pq.read_table(tmp_path / "rows.parquet")["cell"])]
    assert [[valued(cell, kind) for kind in KINDS] for cell in scored] == [
        [valued(cell, kind) for kind in KINDS] for cell in trained
    ]


def test_a_number_keeps_its_digits_and_what_python_has_not_is_no_value() -> None:
    price, far = (cells(CELLS[name])[0] for name in ("decimal", "far"))
    assert valued(as_sent(price, base64=False), "category") == "1.10"
    assert [valued(as_sent(far, base64=False), kind) for kind in ("date", "category")] == [
        "holds a date32[day] out of range; expected a date such as 2024-05-31, or nothing",
        "holds a date32[day] out of range; expected a word or a number, of 200 characters at most, or nothing",
    ]


def test_bytes_of_parquet_are_text_but_for_a_picture(tmp_path: Path, predictor: Predictor) -> None:
    texts = [text.encode() for text in ("my card was stolen", "send it by iban")]
    answered = Scorer(predictor)(pa.table({"text": pa.array([*texts, b"caf\xe9"], pa.binary())}))
    assert answered["label"].to_pylist() == ["card_lost", "transfer", None]
    assert answered["error"].to_pylist() == [None, None, '"text" is not UTF-8']
    publish_pictures(tmp_path)
    colours = Scorer(Predictor(open_bundle(tmp_path / "colours"), threads=1))
    picture = plain(RED)
    binary, text = (colours(pa.table({"image": [cell]})) for cell in (picture, b64encode(picture).decode()))
    assert binary["error"].to_pylist() == [None]
    assert binary == text


def test_names_that_are_taken_get_one_of_their_own() -> None:
    assert free_names(["id", "label", "row_label"], ["label"]) == ["id", "row_label", "row_row_label"]


def hostile_csv(chance: random.Random) -> str:
    """Cells with line ends, stray quotes, blank lines, CR LF and rows with too much or too little."""
    lines = ["id,text\n"]
    for number in range(300):
        cell = chance.choice(
            ["plain", '"a, b"', '"two\nlines"', '"three\r\n\r\nlines"', '"stray', 'in "side', "", "<html>", "x,y,z"]
        )
        lines.append(f"{number},{cell}{chance.choice([chr(10), chr(13) + chr(10)])}{chr(10) * chance.randrange(2)}")
    return "".join(lines)


def rows_in(chunks: Iterable[Chunk]) -> Iterator[InputRow]:
    return (row for chunk in chunks for row in chunk.rows)


def described(rows: Iterator[InputRow]) -> list[tuple]:
    return [(row.number, row.fields, row.wrong) for row in rows]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("most", [1, 7, 1000])
def test_slices_of_a_table_are_what_its_one_reader_reads(
    tmp_path: Path, predictor: Predictor, seed: int, most: int
) -> None:
    content = hostile_csv(random.Random(seed)).encode()
    (tmp_path / "rows.csv").write_bytes(content)
    storage, files = find_files(str(tmp_path / "rows.csv"), forms(predictor))
    made = cut(storage, files[0], 0, forms(predictor), most, ["text"])
    assert all(0 < piece.rows <= most for piece in made.slices)
    parts = [
        described(rows_in(read(storage, files, piece, made.header, forms(predictor), ()))) for piece in made.slices
    ]
    whole = described(rows_of(read_records([content], "csv")[1]))
    assert [row for part in parts for row in part] == whole
    assert any("line" in (wrong or "") for _, _, wrong in whole)


def write_fasta(folder: Path) -> bytes:
    content = b"; a comment\n" + b"".join(b">p%d of it\n%s\n\nMKV\n" % (n, b"ACDEFGH" * (n % 4)) for n in range(50))
    (folder / "proteins.fasta").write_bytes(content + b">\xff\n")
    return content + b">\xff\n"


def test_formats_of_an_input_are_sliced_too_unless_they_cannot_be_entered(tmp_path: Path) -> None:
    import gzip

    of_proteins = Forms(write_bundle(tmp_path / "b", input="protein"))
    content = write_fasta(tmp_path)
    whole = described(rows_of(read_fasta([content])))
    storage, (file,) = find_files(str(tmp_path / "proteins.fasta"), of_proteins)
    made = cut(storage, file, 0, of_proteins, 8, [])
    assert len(made.slices) == 7
    assert [*made.columns] == ["id", "sequence", "header"]
    parts = [described(rows_in(read(storage, [file], piece, None, of_proteins, ()))) for piece in made.slices]
    assert [row for part in parts for row in part] == whole
    (tmp_path / "packed.fa.gz").write_bytes(gzip.compress(content))
    storage, (packed,) = find_files(str(tmp_path / "packed.fa.gz"), of_proteins)
    (piece,) = cut(storage, packed, 0, of_proteins, 8, []).slices
    assert described(rows_in(read(storage, [packed], piece, None, of_proteins, ()))) == whole


@pytest.mark.parametrize("together", [0, 2**20])
def test_slices_of_parquet_cross_its_row_groups(
    tmp_path: Path, predictor: Predictor, monkeypatch: pytest.MonkeyPatch, together: int
) -> None:
    monkeypatch.setattr(slices, "_MOST_TOGETHER", together)
    rows = pa.table({"id": range(25), "text": [f"card {number}" for number in range(25)], "unread": [b""] * 25})
    pq.write_table(rows, tmp_path / "rows.parquet", row_group_size=10)
    storage, files = find_files(str(tmp_path / "rows.parquet"), forms(predictor))
    made = cut(storage, files[0], 0, forms(predictor), 7, ["text"])
    assert [piece.rows for piece in made.slices] == [7, 7, 7, 4]
    chunks = [
        chunk
        for piece in made.slices
        for chunk in read(storage, files, piece, None, forms(predictor), {"text"}, ["id"])
    ]
    assert [row.number for row in rows_in(chunks)] == [*range(1, 26)]
    assert [row.fields for row in rows_in(chunks)] == rows.select(["text"]).to_pylist()
    assert [key for chunk in chunks for key in chunk.columns["id"].to_pylist()] == [*range(25)]


def test_chunks_of_parquet_have_few_of_large_rows(tmp_path: Path, predictor: Predictor) -> None:
    large = pa.array([bytes(2**18)] * 9 + [b""] * 9)
    rows = pa.table({"text": ["card"] * 18, "large": large, "unread": [bytes(2**20 - index) for index in range(18)]})
    pq.write_table(rows, tmp_path / "rows.parquet", use_dictionary=False)
    storage, files = find_files(str(tmp_path / "rows.parquet"), forms(predictor))
    chunks = [*read(storage, files, Slice(0, 17, 2), None, forms(predictor), {"text"}, ["large"])]
    assert [row.number for row in rows_in(chunks)] == [*range(2, 19)]
    assert max(chunk.columns["large"].nbytes for chunk in chunks) < 3 * CHUNK_BYTES
    assert len(chunks) < 9


def test_files_that_are_a_row_each_share_a_slice_with_their_neighbours(tmp_path: Path) -> None:
    of_pictures = Forms(write_bundle(tmp_path / "b", input="image"))
    for name in ("a/1.png", "a/2.JPEG", "b.jpg", "notes.md", ".hidden.png"):
        path = tmp_path / "pictures" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    storage, files = find_files(str(tmp_path / "pictures"), of_pictures)
    assert [file.name for file in files] == ["a/1.png", "a/2.JPEG", "b.jpg"]
    pieces = [*cut_singles(files, 0, 2)]
    assert pieces == [Slice(0, 2), Slice(2, 1)]
    rows = [row for piece in pieces for row in rows_in(read(storage, files, piece, None, of_pictures, ()))]
    assert [(row.file, row.number) for row in rows] == [("a/1.png", 1), ("a/2.JPEG", 1), ("b.jpg", 1)]
    assert rows[0].fields == of_pictures.singles["image/png"](b"a/1.png")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("topic\nx\n", "rows.csv has no column 'text', which the model reads"),
        ("PAR1", "rows.csv is Parquet; name it .parquet"),
        ("", "rows.csv has no header line"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_before_anything_is_scored(
    tmp_path: Path, predictor: Predictor, content: str, message: str
) -> None:
    (tmp_path / "rows.csv").write_text(content)
    storage, (file,) = find_files(str(tmp_path / "rows.csv"), forms(predictor))
    with pytest.raises(UserError, match=message):
        cut(storage, file, 0, forms(predictor), 10, ["text"])


def test_where_nothing_lies_a_sentence_says_so(tmp_path: Path, predictor: Predictor) -> None:
    with pytest.raises(UserError, match="there is no such file, and no folder with files in it"):
        find_files(str(tmp_path / "gone.csv"), forms(predictor))
    (tmp_path / "rows").mkdir()
    with pytest.raises(UserError, match="there is no such file, and no folder with files in it"):
        find_files(str(tmp_path / "rows"), forms(predictor))
    (tmp_path / "rows" / "notes.md").touch()
    with pytest.raises(UserError, match=r"no file there can be read; expected .csv, .tsv"):
        find_files(str(tmp_path / "rows"), forms(predictor))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_a_named_pipe_holds_no_rows(tmp_path: Path, predictor: Predictor) -> None:
    (tmp_path / "rows.csv").write_text("text\ncard\n")
    os.mkfifo(tmp_path / "pipe.csv")
    _, files = find_files(str(tmp_path), forms(predictor))
    assert [file.name for file in files if file.name.endswith(".csv")] == ["rows.csv"]


def task_of(predictor: Predictor, folder: Path, **changes: object) -> Task:
    _, files = find_files(str(folder), forms(predictor))
    manifest = predictor.manifest
    given = {"model": manifest.name, "version": manifest.version, "files": files, "block": 10, "columns": None}
    return Task(**(given | changes))


def test_a_run_goes_on_by_the_plan_that_it_began_with_and_by_no_other(tmp_path: Path, predictor: Predictor) -> None:
    folder = tmp_path / "rows"
    folder.mkdir()
    (folder / "a.csv").write_text("id,text\n1,card\n")
    (folder / "b.jsonl").write_text(json.dumps({"id": 2, "text": "iban"}))
    (folder / "empty.csv").write_text("id,text\n")
    storage, files = find_files(str(folder), forms(predictor))
    task = task_of(predictor, folder)
    cuts = [cut(storage, file, index, forms(predictor), 10, ["text"]) for index, file in enumerate(files)]
    out = open_storage(str(tmp_path / "out"))
    assert begun(out, task) is None
    plan = begin(out, draw_up(task, predictor.manifest, cuts, []))
    assert begun(out, task) == plan
    assert plan.carried == ["id"]
    assert plan.schema.names[:3] == ["source", "row", "id"]
    for changes, why in (
        (
            {"version": "20260101T000000Z-00000000"},
            f"with score.model=ferry@{task.version}, and 20260101T000000Z-00000000",
        ),
        ({"block": 5}, "with score.block=10"),
        ({"columns": ["id"]}, "with score.columns=null"),
    ):
        with pytest.raises(UserError, match=why):
            begun(out, task.model_copy(update=changes))
    (folder / "a.csv").write_text("id,text\n1,card\n2,fee\n")
    with pytest.raises(UserError, match=r"for other rows: a.csv has changed"):
        begun(out, task_of(predictor, folder))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "some.parquet").touch()
    with pytest.raises(UserError, match="has files in it that no scoring began"):
        begun(open_storage(str(tmp_path / "other")), task)


def test_columns_that_are_not_there_or_of_two_types_are_named(tmp_path: Path, predictor: Predictor) -> None:
    folder = tmp_path / "rows"
    folder.mkdir()
    for name, ids in (("a", [1]), ("b", ["x"])):
        pq.write_table(pa.table({"id": ids, "text": ["card"]}), folder / f"{name}.parquet")
    storage, files = find_files(str(folder), forms(predictor))
    cuts = [cut(storage, file, index, forms(predictor), 10, ["text"]) for index, file in enumerate(files)]
    with pytest.raises(UserError, match=r"column 'id' is int64 in a.parquet and string in b.parquet"):
        draw_up(task_of(predictor, folder), predictor.manifest, cuts, [])
    other = draw_up(task_of(predictor, folder, columns=["text"]), predictor.manifest, cuts, [])
    assert other.schema.field("text").type == pa.string()
    with pytest.raises(UserError, match="the rows have no column 'key'"):
        draw_up(task_of(predictor, folder, columns=["key"]), predictor.manifest, cuts[:1], [])


@pytest.fixture
def score(tmp_path: Path) -> Score:
    publish_in_production(tmp_path)
    (tmp_path / "rows").mkdir()
    return lambda *words: score_here(tmp_path / "storage", tmp_path / "rows", tmp_path / "out", *words)


def test_texts_have_the_answers_that_requests_have(tmp_path: Path, score: Score) -> None:
    texts = [
        f"my card {chance.choice(['was stolen', 'costs a fee', 'iban'])}" for chance in map(random.Random, range(50))
    ]
    pq.write_table(pa.table({"id": range(50), "text": texts}), tmp_path / "rows" / "a.parquet")
    assert score("score.block=20") == 0
    answered = answers(tmp_path / "out")
    assert answered["id"].to_pylist() == [*range(50)]
    predictor = Predictor(open_bundle(tmp_path / "sealed"), threads=1)
    assert_as_predicted(answered, predictor, [{"text": text} for text in texts])


def test_pictures_have_the_answers_that_requests_have(tmp_path: Path) -> None:
    publish_pictures(tmp_path)
    rows = tmp_path / "rows"
    (rows / "more").mkdir(parents=True)
    pictures = {"a.png": plain(RED), "b.jpg": plain(BLUE, form="JPEG"), "more/c.png": plain(BLUE, (100, 10))}
    for name, content in pictures.items():
        (rows / name).write_bytes(content)
    assert score_here(tmp_path / "storage", rows, tmp_path / "out", "score.model=colours") == 0
    answered = answers(tmp_path / "out")
    assert answered["source"].to_pylist() == [*pictures]
    predictor = Predictor(open_bundle(tmp_path / "colours"), threads=1)
    requests = [predictor.media_types["image/png"](content) for content in pictures.values()]
    assert_as_predicted(answered, predictor, requests)


def test_no_cell_that_is_carried_along_stops_a_run(tmp_path: Path, score: Score) -> None:
    (tmp_path / "rows" / "a.csv").write_bytes(b"id,text,error\n1,card,caf\xe9\n2,caf\xe9,fine\n")
    lines = [
        '{"id": {"a": "\\ud800"}, "text": "card", "\\ud800": 1}',
        '{"id": 7, "text": "\\ud800"}',
        '{"id": [1e999, -1e999], "text": "card"}',
    ]
    (tmp_path / "rows" / "b.jsonl").write_text("\n".join(lines))
    assert score() == 0
    answered = answers(tmp_path / "out")
    assert answered["id"].to_pylist() == ["1", "2", '{"a":"\ufffd"}', "7", '["Infinity","-Infinity"]']
    assert answered["row_error"].to_pylist() == ["caf\ufffd", "fine", None, None, None]
    assert [error is None for error in answered["error"].to_pylist()] == [True, False, True, False, True]
    assert answered.column_names[:5] == ["source", "row", "id", "row_error", "label"]


def test_a_column_of_parquet_is_carried_along_as_it_is(tmp_path: Path, score: Score) -> None:
    broken = unchecked([b"caf\xe9", b"bar"], pa.string())
    columns = {
        "day": pa.array([2**31 - 1, 0], pa.int32()).cast(pa.date32()),
        "time": pa.array([2**62, 0], pa.int64()).view(pa.timestamp("us")),
        "lasts": pa.array([2**62, None], pa.int64()).view(pa.duration("us")),
        "flag": pa.ExtensionArray.from_storage(pa.bool8(), pa.array([1, None], pa.int8())),
        "price": pa.array([Decimal("1.10"), None]),
        "level": pa.array(["a", None]).dictionary_encode(),
        "raw": pa.array([b"\xff", b"a"]),
    }
    strings = {
        "one": broken,
        "many": pa.ListArray.from_arrays([0, 2, 2], broken),
        "named": pa.StructArray.from_arrays([broken], ["name"]),
    }
    rows = pa.table({"text": unchecked([b"my card", b"caf\xe9"], pa.string()), **columns, **strings})
    pq.write_table(rows, tmp_path / "rows" / "a.parquet")
    pq.write_table(pa.table({"text": ["card"]}), tmp_path / "rows" / "b.parquet")
    assert score() == 0
    answered = answers(tmp_path / "out")
    assert answered["error"].to_pylist() == [None, '"text" is not UTF-8', None]
    for name, column in columns.items():
        assert answered[name].combine_chunks().equals(pa.concat_arrays([column, pa.nulls(1, column.type)])), name
    assert answered.select(list(strings)).to_pylist() == [
        {"one": "caf\ufffd", "many": ["caf\ufffd", "bar"], "named": {"name": "caf\ufffd"}},
        {"one": "bar", "many": [], "named": {"name": "bar"}},
        dict.fromkeys(strings),
    ]


def test_what_the_model_reads_may_be_of_several_types(tmp_path: Path, score: Score) -> None:
    for number, kind in enumerate((pa.string(), pa.large_string(), pa.binary())):
        rows = pa.table({"text": pa.array(["card"], pa.string()).cast(kind), "id": [number]})
        pq.write_table(rows, tmp_path / "rows" / f"{number}.parquet")
    (tmp_path / "rows" / "more.csv").write_text("text\ncard\n")
    assert score() == 0
    assert answers(tmp_path / "out")["label"].to_pylist() == ["card_lost"] * 4


def test_a_column_without_a_value_in_one_file_has_the_type_of_the_others(tmp_path: Path, score: Score) -> None:
    for name, more in (("a", pa.nulls(1)), ("b", pa.array([5])), ("c", pa.nulls(1))):
        pq.write_table(pa.table({"text": ["card"], "more": more}), tmp_path / "rows" / f"{name}.parquet")
    assert score() == 0
    assert answers(tmp_path / "out")["more"].to_pylist() == [None, 5, None]


def test_blocks_are_in_the_order_of_the_rows(tmp_path: Path, score: Score) -> None:
    for name in ("a", "b"):
        (tmp_path / "rows" / f"{name}.csv").write_text("id,text\n" + "".join(f"{n},card\n" for n in range(5)))
    assert score("score.block=2") == 0
    answered = answers(tmp_path / "out")
    assert answered["row"].to_pylist() == [1, 2, 3, 4, 5] * 2
    assert answered["source"].to_pylist() == ["a.csv"] * 5 + ["b.csv"] * 5


def test_rows_that_change_meanwhile_are_no_answers(
    tmp_path: Path, score: Score, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = tmp_path / "rows" / "a.csv"
    rows.write_text("id,text\n1,card\n2,card\n3,card\n")
    written = LocalStorage.write

    def write(storage: LocalStorage, key: str, data: bytes) -> None:
        written(storage, key, data)
        rows.write_text("id,text\n1,card\n2,iban\n3,iban\n")

    monkeypatch.setattr(LocalStorage, "write", write)
    assert score("score.block=1") == 2
    assert "score: a.csv has changed since the run began" in capsys.readouterr().err
    assert [file.name for file in (tmp_path / "out").glob("part-*")] == ["part-000000.parquet"]


def test_a_picture_that_changes_meanwhile_is_no_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    publish_pictures(tmp_path)
    (tmp_path / "rows").mkdir()
    for name in ("a.png", "b.png"):
        (tmp_path / "rows" / name).write_bytes(plain(RED))
    opened = LocalStorage.open

    def open_(storage: LocalStorage, key: str) -> BinaryIO:
        (tmp_path / "rows" / "b.png").write_bytes(plain(BLUE, (9, 9)))
        return opened(storage, key)

    monkeypatch.setattr(LocalStorage, "open", open_)
    assert score_here(tmp_path / "storage", tmp_path / "rows", tmp_path / "out", "score.model=colours") == 2
    assert "score: b.png has changed since the run began" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", ["torn", "of other rows", "of no slice"])
def test_a_block_that_is_not_the_runs_own_is_not_taken_for_one(
    tmp_path: Path, score: Score, wrong: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "rows" / "a.csv").write_text("id,text\n1,card\n2,card\n3,card\n4,card\n")
    assert score("score.block=2") == 0
    first, last = sorted((tmp_path / "out").glob("part-*"))
    if wrong == "torn":
        first.write_bytes(first.read_bytes()[:100])
    else:
        shutil.copy(last, first if wrong == "of other rows" else tmp_path / "out" / "part-000002.parquet")
    assert score("score.block=2") == 2
    assert "is damaged or not of this run: remove it, and repeat" in capsys.readouterr().err
    (first if wrong != "of no slice" else tmp_path / "out" / "part-000002.parquet").unlink()
    assert score("score.block=2") == 0
    assert answers(tmp_path / "out")["row"].to_pylist() == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("rows", "out", "message"),
    [
        ("rows", "rows/answers", "lies in score.rows"),
        ("rows", "rows", "lies in score.rows"),
        ("rows/..", "other", "lies in score.rows"),
        ("other/../rows", "rows/a/../b", "lies in score.rows"),
        ("rows", ".", "has files in it that no scoring began"),
        ("s3://bucket/rows", "out", "is neither a folder nor gs://BUCKET/PREFIX"),
        ("gs://bucket", "out", "score.rows=gs://bucket: name a file or a folder in it"),
        ("gs://bucket/", "out", "score.rows=gs://bucket/: name a file or a folder in it"),
        ("gs://", "out", "score.rows=gs://: name a file or a folder in it"),
        ("link", "rows/out", "lies in score.rows"),
        ("rows", "link/out", "lies in score.rows"),
    ],
)
@pytest.mark.usefixtures("score")
def test_places_that_cannot_be_are_refused_before_anything_is_written(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    rows: str,
    out: str,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows" / "a.csv").write_text("text\ncard\n")
    (tmp_path / "link").symlink_to("rows")
    before = sorted(tmp_path.rglob("*"))
    assert score_here(tmp_path / "storage", rows, Path(out)) == 2
    assert message in capsys.readouterr().err
    assert sorted(tmp_path.rglob("*")) == before


def test_files_that_hold_no_rows_are_passed_over_and_told(
    tmp_path: Path, score: Score, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "rows" / "a.csv").write_text("text\ncard\n")
    for name in ("b.csv.gz", "notes.md", ".hidden.csv"):
        (tmp_path / "rows" / name).touch()
    assert score() == 0
    assert "passing over 2 of 3 files, which hold no rows by their names: b.csv.gz" in caplog.text


def test_without_ray_one_sentence_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "ray", None)
    for module in ("cluster", "run"):
        monkeypatch.delitem(sys.modules, f"boatyard.score.{module}", raising=False)
        monkeypatch.delattr(f"boatyard.score.{module}", raising=False)
    assert run("score", command.PURPOSE, command.main, ["score.rows=a.csv", "score.out=b"]) == 2
    assert capsys.readouterr().err == (
        "score: scoring files takes ray, which is not installed: `uv sync --extra scale`\n"
    )
