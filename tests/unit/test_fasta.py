"""FASTA as it is found in the wild becomes records; what is none is named with its line and its id."""

import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest

from boatyard.inputs.lines import Unreadable
from boatyard.inputs.protein.fasta import read_fasta
from boatyard.inputs.protein.sequences import MOST_RESIDUES, WrongSequence, numbers, read_sequence, unknown
from boatyard.inputs.records import Record

pytestmark = pytest.mark.unit

RAW = Path(__file__).parents[2] / "data" / "raw"
TWO = b">a first one\nMKV\nLAW\n>b\nGGG\n"


def records(file: bytes, piece: int = 1 << 20) -> list[Record]:
    return list(read_fasta(file[at : at + piece] for at in range(0, len(file), piece)))


def read(file: bytes, piece: int = 1 << 20) -> list[tuple[int, str, str]]:
    return [(each.line, each.fields["id"], read_sequence(each.fields["sequence"])) for each in records(file, piece)]


@pytest.mark.parametrize(
    "file",
    [
        TWO,
        TWO.replace(b"\n", b"\r\n"),
        TWO.replace(b"\n", b"\r"),
        b"\xef\xbb\xbf" + TWO,
        TWO.rstrip(),
        b">a first one\nmkv laW*\n\n>b\n  1 gg 10\n3 g\n",
        b">a first one\nMKV\n; a comment\nLAW\n>b\n\nGGG\n\n",
    ],
)
@pytest.mark.parametrize("piece", [1, 7, 1 << 20])
def test_line_ends_marks_comments_cases_and_numbers_make_no_difference(file: bytes, piece: int) -> None:
    assert [(id_, sequence) for _, id_, sequence in read(file, piece)] == [("a", "MKVLAW"), ("b", "GGG")]


def test_a_record_is_where_its_header_is_and_ends_where_the_next_begins() -> None:
    first, second = records(TWO)
    assert (first.line, second.line) == (1, 4)
    assert (first.end, second.end) == (TWO.index(b">b"), len(TWO))
    assert first.fields["header"] == "a first one"


@pytest.mark.parametrize("piece", [1, 7, 1 << 20])
def test_gzip_is_seen_by_its_start_and_may_have_several_members(piece: int) -> None:
    packed = gzip.compress(TWO[:12]) + gzip.compress(TWO[12:])
    assert [id_ for _, id_, _ in read(packed, piece)] == ["a", "b"]
    assert records(packed)[-1].end <= len(packed)


def test_what_expands_to_too_much_is_refused_before_it_is_held() -> None:
    bomb = gzip.compress(b">a\n" + b"A" * 10_000_000)
    with pytest.raises(Unreadable, match="expands to more than 1,000,000 bytes"):
        list(read_fasta([bomb], most_bytes=1_000_000))


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (gzip.compress(TWO, mtime=0)[:-9], "is compressed by gzip, and cut off"),
        (b"\x1f\x8b\x08\x00 and so on", "is compressed by gzip, and damaged"),
        (b"PK\x03\x04", "is a ZIP archive"),
    ],
)
def test_a_file_that_is_no_fasta_is_refused_as_a_whole(file: bytes, message: str) -> None:
    with pytest.raises(Unreadable, match=message):
        records(file)


def test_what_stands_before_the_first_header_is_one_record_that_is_wrong() -> None:
    stray, first, _ = records(b"MKV\nLAW\n" + TWO)
    assert (stray.line, stray.wrong) == (1, "comes before the first header, a line with >")
    assert (first.line, first.wrong) == (3, None)


def test_a_record_that_is_too_long_is_dropped_and_the_next_is_read() -> None:
    def pieces() -> Iterator[bytes]:
        yield b">long\n"
        for _ in range(3):
            yield b"A" * 1_000_000 + b"\n"
        yield b">b\nGGG\n"

    long, after = read_fasta(pieces())
    assert long.wrong == f"record 'long' is too long: at most {MOST_RESIDUES:,} residues can be read"
    assert (after.line, after.wrong, after.fields["id"]) == (5, None, "b")


def test_a_description_may_be_in_any_encoding() -> None:
    (record,) = records(b">a caf\xe9\nMKV\n")
    assert (record.fields["id"], record.wrong) == ("a", None)


@pytest.mark.parametrize(
    ("written", "kind", "message"),
    [
        ("", "empty", "is empty"),
        ("*", "empty", "is empty"),
        (" 12\n", "empty", "is empty"),
        ("MK*V", "stop_inside", r"has a stop \(\*\) inside, at position 3"),
        ("MK-V", "no_residue", "has '-' at position 3, which is no residue"),
        ("MKé", "no_residue", r"has '\\xe9' at position 3"),
        ("M\u0131", "no_residue", r"has '\\u0131' at position 2"),
        ("Mß", "no_residue", r"has '\\xdf' at position 2"),
        ("ACGT" * 8, "nucleotides", "looks like DNA or RNA: translate it first"),
        ("acgun" * 6, "nucleotides", "translate it first"),
        ("M" * (MOST_RESIDUES + 1), "too_long", "has 40,001 residues, and at most 40,000 can be read"),
    ],
)
def test_what_is_no_protein_is_said_in_a_sentence(written: str, kind: str, message: str) -> None:
    with pytest.raises(WrongSequence, match=message) as wrong:
        read_sequence(written)
    assert wrong.value.kind == kind


def test_short_or_mixed_sequences_of_these_letters_are_proteins() -> None:
    assert read_sequence("GATTACA") == "GATTACA"
    assert read_sequence("ACGT" * 7 + "MKLW") == "ACGT" * 7 + "MKLW"


def test_letters_that_leave_open_what_is_there_are_read_alike_and_counted() -> None:
    assert len(set(numbers(read_sequence("BZXUOJ")).tolist())) == 1
    assert unknown(["MXXB", "UK"]) == {"B": 1, "U": 1, "X": 2}


def test_the_bundled_proteins_are_as_many_as_promised_in_a_small_file() -> None:
    file = RAW / "resistance.fasta.gz"
    assert file.stat().st_size < 300_000
    every = records(file.read_bytes())
    assert (len(every), sum("[non]" in each.fields["header"] for each in every)) == (1142, 746)
    assert all(50 <= len(read_sequence(each.fields["sequence"])) <= 1000 for each in every)
