"""One reader for training and jobs: each record is read or says why not, whatever the quotes, line ends and pieces."""

import csv
import io
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boatyard.inputs.lines import MOST_BYTES, Unreadable
from boatyard.inputs.records import MOST_LINES, Format, Record, read_records

pytestmark = pytest.mark.unit


def read(content: bytes | str, form: Format = "csv", piece: int = 2**20) -> list[Record]:
    content = content.encode() if isinstance(content, str) else content
    return list(read_records((content[at : at + piece] for at in range(0, len(content), piece)), form)[1])


def told(records: list[Record]) -> list[tuple[int, object]]:
    """The line of each record with its cells, or what is wrong, as far as the first semicolon."""
    return [(r.line, list(r.fields.values()) if r.wrong is None else r.wrong.partition(";")[0]) for r in records]


def test_a_quote_that_is_never_closed_costs_its_own_line() -> None:
    rows = 'text\nmy card was stolen\n"5 inch pipe is broken\nhow much is a transfer\nwhere is my card\ncard broken\n'
    assert told(read(rows)) == [
        (2, ["my card was stolen"]),
        (3, "opens a quote that is never closed"),
        (4, ["how much is a transfer"]),
        (5, ["where is my card"]),
        (6, ["card broken"]),
    ]


NEVER, BEHIND = "opens a quote that is never closed", "has text behind a quote that closes"


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ('"x" y,1\nz,2\n', [(2, BEHIND), (3, ["z", "2"])]),
        ('"x,1\ny,2\n"z",3\n', [(2, f"{BEHIND} in line 4"), (3, ["y", "2"]), (4, ["z", "3"])]),
        ('x,"1\ny,2', [(2, NEVER), (3, ["y", "2"])]),
        ('"x\ny","z\n1,2\n', [(2, NEVER), (3, NEVER), (4, ["1", "2"])]),
        ('the 5" pipe,1\n', [(2, ['the 5" pipe', "1"])]),
        ('"",1\n"""",2\n', [(2, ["", "1"]), (3, ['"', "2"])]),
        ("x\ny,1\n", [(2, "has 1 cell where the header names 2"), (3, ["y", "1"])]),
        ("y,1,2\nz,3,,\n", [(2, "has 3 cells where the header names 2"), (3, ["z", "3"])]),
        ('\ufeff"x,y",1\n', [(2, ["x,y", "1"])]),
    ],
)
def test_a_record_that_is_malformed_says_so_where_it_begins(rows: str, expected: list[tuple[int, object]]) -> None:
    assert told(read("a,b\n" + rows)) == expected


def swallowing(form: Format, lines: int, columns: str = "text,topic") -> str:
    """Forty rows, of which the tenth has a quote before it, and one some lines later has a quote at its end."""
    cells = [{"id": str(n), "text": f"my card {n} is lost"[: n % 7 + 9], "topic": "ab"[n % 2]} for n in range(40)]
    cells[9]["text"] = '"' + cells[9]["text"]
    cells[9 + lines]["text"] += '"'
    if columns.startswith("id"):
        cells[9]["id"], cells[9]["text"] = '"9', cells[9]["text"].strip('"')
    names = columns.split(",")
    return "\n".join("\t,"[form == "csv"].join(row) for row in [names, *([row[n] for n in names] for row in cells)])


@pytest.mark.parametrize(
    ("form", "lines", "columns"),
    [
        ("tsv", 30, "text,topic"),
        ("tsv", 1, "text,topic"),
        ("tsv", 1, "topic,text"),
        ("csv", 30, "text,topic"),
        ("csv", 5, "text,topic"),
        ("csv", 5, "topic,text"),
        ("csv", 3, "topic,text,id"),
        ("csv", 1, "id,text"),
        ("csv", 2, "text,id"),
    ],
)
def test_quotes_that_happen_to_pair_swallow_no_rows(form: Format, lines: int, columns: str) -> None:
    records = read(swallowing(form, lines, columns), form)
    assert [record.line for record in records] == list(range(2, 42))
    (wrong,) = [record for record in records if record.wrong]
    assert wrong.line == 11
    assert wrong.wrong is not None
    assert wrong.wrong.startswith(
        f"opens a quote that closes in line {11 + lines}, and each line up to there looks like"
    )


@pytest.mark.parametrize("form", ["csv", "tsv"])
@pytest.mark.parametrize("odd", ["", "  ", "a text, with commas,\tand tabs\t,x", "no delimiter"])
def test_swallowed_rows_are_found_around_a_line_that_is_none(form: Format, odd: str) -> None:
    lines = swallowing(form, 30).splitlines()
    records = read("\n".join([*lines[:20], odd, *lines[20:]]), form)
    first, *others = [record for record in records if record.wrong]
    each = "nearly each line" if odd.strip() else "each line"
    wrong = f"opens a quote that closes in line 42, and {each} up to there looks like a row"
    assert (first.line, str(first.wrong).partition("; ")[0]) == (11, wrong)
    assert [record.line for record in others] == [21] * bool(odd.strip())
    assert len(records) == 40 + len(others)


@pytest.mark.parametrize("begin", ['"x', '"' + "x" * (MOST_BYTES - 9)])
@pytest.mark.parametrize("line", ["y\n", "y" * 999 + "\n"])
def test_a_quoted_cell_has_bounds_and_the_sentence_says_so(begin: str, line: str) -> None:
    far = (min(MOST_BYTES // len(line), MOST_LINES) + 2) * line
    first = read(f'a,b\n{begin}\n{far}",1\n')[0]
    assert (first.line, first.wrong and first.wrong.partition("; ")[0]) == (
        2,
        f"opens a quote that is never closed within {MOST_BYTES:,} bytes and {MOST_LINES:,} lines",
    )


@pytest.mark.parametrize(
    "text",
    [
        "Hello, Bob\nbye",
        "Dear Sir,\n\nmy card, which I lost, was found.\nThanks, Ann",
        "first, second\nthird, fourth\nfifth\nsixth, seventh\neighth, ninth\ntenth, eleventh\ntwelfth, last",
        "1. block it\n2. send a new one\n3. tell me",
        'she said "no"\nand then\r\n"yes"',
    ],
)
@pytest.mark.parametrize("form", ["csv", "tsv"])
@pytest.mark.parametrize("columns", [["text", "topic"], ["topic", "text"], ["id", "text", "topic"]])
def test_a_text_of_several_lines_is_a_text(text: str, form: Format, columns: list[str]) -> None:
    written = io.StringIO()
    row = {"text": text, "topic": "card", "id": "7"}
    csv.writer(written, delimiter="\t,"[form == "csv"]).writerows([columns, [row[name] for name in columns]])
    (record,) = read(written.getvalue(), form)
    assert (record.wrong, record.fields) == (None, {name: row[name] for name in columns})


def test_a_key_of_json_is_named_as_a_column_of_a_header_is() -> None:
    assert read('{" text": "one", "cafe\u0301\u200b": 2}\n', "jsonl")[0].fields == {"text": "one", "café": 2}


cells = st.text(st.sampled_from('ab ,\t"\n\r\u00e9\ufeff\0;'), max_size=6)


@settings(max_examples=40)
@given(st.lists(st.tuples(cells, cells, cells), max_size=5), st.sampled_from(["\n", "\r\n", "\r"]), st.integers(1, 9))
def test_what_is_written_is_read_in_pieces_of_any_size_and_cut_at_the_same_bytes(
    rows: list[tuple[str, str, str]], end: str, piece: int
) -> None:
    written = io.StringIO(newline="")
    csv.writer(written, quoting=csv.QUOTE_ALL, lineterminator=end).writerows([("one", "two", "three"), *rows])
    content = written.getvalue().encode()
    whole = read(content)
    assert read(content, piece=piece) == whole
    if all(record.wrong is None for record in whole):  # two lines of commas may look like two rows
        assert [tuple(record.fields.values()) for record in whole] == rows
    assert [record.end for record in whole] == sorted({record.end for record in whole})
    assert not whole or whole[-1].end == len(content)


@given(st.binary(max_size=60), st.sampled_from(["csv", "tsv", "jsonl"]), st.integers(1, 9))
def test_no_bytes_are_lost_or_break_the_reader(content: bytes, form: Format, piece: int) -> None:
    try:
        records = read(b"a,b\n" + content, form)
    except Unreadable:
        return
    assert read(b"a,b\n" + content, form, piece) == records
    ends = [record.end for record in records]
    assert ends == sorted(set(ends))


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_every_line_end_counts_and_none_at_the_end_is_needed(end: str, form: Format) -> None:
    lines = ["text", "one", "two"] if form == "csv" else ['{"text": "one"}', '{"text": "two"}']
    content = end.join(lines)
    for whole in (content, content + end, "\ufeff" + content):
        assert [record.fields for record in read(whole, form, piece=3)] == [{"text": "one"}, {"text": "two"}]
    mixed = "text\rone\r\n\ntwo\n\r"
    assert told(read(mixed)) == [(2, ["one"]), (4, ["two"])]


def test_lines_without_anything_to_see_are_passed_over_and_counted() -> None:
    assert told(read("\n \na,b\n\t\n\u200b\n\0\nx,1\n , \n")) == [(7, ["x", "1"]), (8, [" ", " "])]
    assert told(read("a\tb\n\t\nx\t1\n", "tsv")) == [(2, ["", ""]), (3, ["x", "1"])]
    assert told(read('\n{"a": 1}\n\u00a0\n{"a": 2}', "jsonl")) == [(2, [1]), (4, [2])]


def test_the_header_is_trimmed_and_composed() -> None:
    assert read_records([" text ,cafe\u0301\u200b,\n".encode()], "csv")[0] == ["text", "caf\u00e9", ""]


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("nonsense", "is not JSON"),
        ('["card"]', "is JSON, but not an object: it is a list"),
        ("7", "is JSON, but not an object"),
        ('{"a": NaN}', "is not JSON: it has no NaN"),
        ('{"a": 1, "a": 2}', "names 'a' more than once"),
        ('{"a": 1, " a": 2}', "names 'a' more than once"),
        ('{"b": {"a": 1, "a": 2}}', "names 'a' more than once"),
        ("[" * 100_000, "is not JSON"),
        ('{"a": 1} {"a": 2}', "is not JSON"),
        ('{"a": ' + "9" * 5000 + "}", "is not JSON"),
    ],
)
def test_a_line_that_is_no_json_object_is_wrong_by_itself(line: str, wrong: str) -> None:
    good = '{"a": "good"}'
    first, second, third = read(f"{good}\n{line}\n{good}", "jsonl")
    assert (first.fields, third.fields) == ({"a": "good"}, {"a": "good"})
    assert second.wrong is not None
    assert second.wrong.startswith(wrong)


@pytest.mark.parametrize("long", [MOST_BYTES + 1, 3 * MOST_BYTES])
@pytest.mark.parametrize(("form", "row"), [("csv", "fine"), ("jsonl", '{"text": "fine"}')])
def test_a_line_beyond_the_limit_is_wrong_by_itself_and_never_held(form: Format, row: str, long: int) -> None:
    content = "\n".join([*(["text"] if form == "csv" else []), row, "x" * long, row])
    first, second, third = read(content, form, piece=100_000)
    assert (first.fields, third.fields) == ({"text": "fine"}, {"text": "fine"})
    assert second.wrong == f"is longer than {MOST_BYTES:,} bytes"
    assert second.end == len(content) - len(row)


def test_a_quote_left_open_is_looked_for_no_further_than_a_record_may_reach() -> None:
    def pieces() -> Iterator[bytes]:
        yield b'text\n"open\n'
        for _ in range(10_000):
            yield b"x" * 1000 + b"\n"
        pytest.fail("the whole file was read for one row")

    first = next(read_records(pieces(), "csv")[1])
    assert first.wrong is not None
    assert first.wrong.startswith("opens a quote that is never closed")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("body,topic\none,a\n".encode("utf-16"), "UTF-16"),
        ("body,topic\none,a\n".encode("utf-16-le"), "UTF-16"),
        ("body,topic\none,a\n".encode("utf-16-be"), "UTF-16"),
        ("body,topic\none,a\n".encode("utf-32"), "UTF-32"),
        ("body,topic\none,a\n".encode("utf-32-le"), "UTF-32"),
        (b"\x1f\x8b\x08\0", "gzip"),
        (b"PK\x03\x04\x14\0", "Excel workbook"),
        (b"\xd0\xcf\x11\xe0\xa1", "Excel workbook"),
        (b"PAR1\x15", "Parquet"),
        (b"\n<!DOCTYPE html><html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        ("größe,text\n".encode("cp1252"), "Windows-1252"),
        (b"", "no header line"),
        (b"\n\n \n", "no header line"),
        (b'"text\none\n', "no header that can be read: line 1 opens a quote"),
        (b"text,label,text\n", "names column 'text' twice"),
        (b"text,label,text \n", "names column 'text' twice"),
    ],
)
def test_what_is_no_file_of_rows_is_called_what_it_is(content: bytes, what: str) -> None:
    with pytest.raises(Unreadable, match=what):
        read(content)


@pytest.mark.parametrize(
    ("content", "form"),
    [
        ('"fixed acidity";"quality"\n"7,4";5\n', "csv"),
        ('\ufeff"fixed acidity";quality\r\n7,4;5\r\n', "csv"),
        ("fixed acidity\tquality\n7,4\t5\n", "csv"),
        ('fixed acidity,quality\n"7,4",5\n', "tsv"),
        ("fixed acidity|quality\n7,4|5\n", "csv"),
        ("\ufeffsep=;\r\nfixed acidity;quality\r\n7,4;5\r\n", "csv"),
        ('"fixed acidity",quality;\n"7,4",5\n', "csv"),
    ],
)
def test_what_separates_the_cells_is_seen_in_the_header(content: str, form: Format) -> None:
    (record,) = read(content, form)
    assert list(record.fields.values()) == ["7,4", "5"], record.wrong


def test_a_delimiter_in_a_columns_quoted_name_separates_nothing() -> None:
    (record,) = read('"size; in square metres"\n"1,2;3"\n')
    assert record.fields == {"size; in square metres": "1,2;3"}
