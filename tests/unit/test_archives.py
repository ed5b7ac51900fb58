"""inputs/archives: a ZIP archive is read in order, and neither its size nor its names do harm."""

import io
import struct
import zipfile
from collections.abc import Callable
from random import Random

import pytest

from boatyard.inputs import archives
from boatyard.inputs.archives import read_archive
from boatyard.inputs.lines import Unreadable
from boatyard.inputs.records import Record

pytestmark = pytest.mark.unit

MOST = 2**20


def archive(*files: tuple[str, bytes], how: int = zipfile.ZIP_DEFLATED) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", how) as into:
        for name, content in files:
            into.writestr(name, content)
    return made.getvalue()


def read(content: bytes) -> list[Record]:
    pieces = (content[at : at + 1000] for at in range(0, len(content), 1000))
    return list(read_archive(pieces, MOST, lambda file: {"bytes": file}))


def test_files_come_in_order_with_their_names_and_folders_are_passed_over() -> None:
    records = read(archive(("b", b"1"), ("in/", b""), ("in/a", b"2")))
    assert [(each.file, each.fields, each.wrong) for each in records] == [
        ("b", {"bytes": b"1"}, None),
        ("in/a", {"bytes": b"2"}, None),
    ]


def changed(content: bytes, old: bytes, new: bytes) -> bytes:
    assert old in content
    return content.replace(old, new)


def encrypted() -> bytes:
    content = archive(("a", b"secret"))
    at = content.index(b"PK\x01\x02") + 8
    return content[:at] + b"\x01" + content[at + 1 :]


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        *(
            (lambda name=name: archive((name, b"1")), "leads out")
            for name in ("/etc/passwd", "../a", "in/../../a", "C:a", "a\nb", "in//a")
        ),
        (lambda: archive(("a" * 256, b"1")), "a name of 256 characters"),
        (
            lambda: archive(("a", bytes(MOST + 1)), how=zipfile.ZIP_STORED),
            "has 1,048,577 bytes, and may have 1,048,576",
        ),
        (lambda: archive(("a", bytes(MOST))), "expands to more than 20 times its size"),
        (lambda: archive(("a", b"1"), how=zipfile.ZIP_BZIP2), "neither stored nor compressed by deflate"),
        (encrypted, "is encrypted"),
        (lambda: changed(archive(("a", b"one two"), how=0), b"one two", b"one too"), "is damaged"),
    ],
)
def test_a_file_that_may_not_be_read_says_why_and_the_next_is_read(content: Callable[[], bytes], wrong: str) -> None:
    first, *_ = read(content())
    assert first.wrong is not None
    assert wrong in first.wrong
    assert first.fields == {}


def test_a_name_that_is_repeated_is_refused_once_more() -> None:
    with pytest.warns(UserWarning, match="Duplicate"):
        twice = archive(("a", b"1"), ("a", b"2"))
    assert [each.wrong for each in read(twice)] == [None, "repeats the name of an earlier file"]


def claiming(size: int) -> bytes:
    """An archive whose end says that its directory has so many bytes."""
    content = archive(("a", b"1"))
    end = content.rindex(b"PK\x05\x06")
    return content[: end + 12] + struct.pack("<L", size) + content[end + 16 :]


def larger_format() -> bytes:
    content = archive(("a", b"1"))
    end = content.rindex(b"PK\x05\x06")
    return content[:end] + b"PK\x06\x07" + bytes(16) + content[end:]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (lambda: b"", "no ZIP archive"),
        (lambda: b"PK\x03\x04, perhaps", "no ZIP archive"),
        (lambda: archive(("a", b"1"))[:-1], "no ZIP archive"),
        (lambda: claiming(2**31), "a directory that is too large"),
        (larger_format, "a directory that is too large"),
        (lambda: changed(archive(("a", b"1")), b"PK\x01\x02", b"PK\x01\x03"), "a damaged ZIP archive"),
    ],
)
def test_what_is_no_archive_is_refused_whole(content: Callable[[], bytes], why: str) -> None:
    with pytest.raises(Unreadable, match=why):
        read(content())


def test_an_archive_that_has_or_expands_to_too_much_is_refused_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    content = archive(*((str(number), bytes(100)) for number in range(5)))
    monkeypatch.setattr(archives, "MOST_FILES", 4)
    with pytest.raises(Unreadable, match="has 5 files; a job may have 4"):
        read(content)
    monkeypatch.undo()
    monkeypatch.setattr(archives, "MOST_EXPANDED", 499)
    with pytest.raises(Unreadable, match="expands to 500 bytes"):
        read(content)


def damaged(number: int) -> bytes:
    random = Random(number)
    content = bytearray(archive(("a", bytes(range(256)) * 4), ("in/b", b"1" * 50), how=random.choice([0, 8])))
    for _ in range(random.choice([1, 2, 20])):
        content[random.randrange(len(content))] = random.randrange(256)
    return bytes(content[: random.choice([len(content), len(content), random.randrange(len(content))])])


def test_whatever_is_damaged_is_named_and_nothing_else_goes_wrong() -> None:
    refused = 0
    for number in range(1000):
        try:
            records = read(damaged(number))
        except Unreadable:
            refused += 1
        else:
            assert all(each.wrong or each.fields for each in records)
    assert 0 < refused < 1000
