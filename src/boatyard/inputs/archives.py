"""Reads a ZIP archive whose files are rows, without unpacking it: nothing is written under a name that it says."""

import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from tempfile import TemporaryFile
from typing import IO, Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from boatyard.inputs.lines import Unreadable
from boatyard.inputs.records import Record

MEDIA_TYPE = "application/zip"
MOST_FILES = 10_000
MOST_EXPANDED = 2**30
"""Bytes, of all files together."""
MOST_RATIO = 20
"""Of a file's size to that of its compressed form: a chunk of a job is bounded by what is compressed in it."""
LONGEST_NAME = 255

_ANY_RATIO = 2**16  # bytes, up to which a file may be compressed as well as it can be
_MOST_DIRECTORY = MOST_FILES * 2**9  # bytes, which are all read before the first file
_END, _END_SIZE = b"PK\x05\x06", 22
_LOCATOR, _LOCATOR_SIZE = b"PK\x06\x07", 20  # of a directory too large for the first format
_LONGEST_COMMENT = 2**16
# OSError: where a damaged directory says that a file lies, there may be no place
_DAMAGES = (
    *(BadZipFile, EOFError, NotImplementedError, OSError, OverflowError, RuntimeError, ValueError),
    *(struct.error, zlib.error),
)


def read_archive(pieces: Iterable[bytes], most_bytes: int, read: Callable[[bytes], Any]) -> Iterator[Record]:
    """A record for each file, in the archive's order; folders by themselves are passed over.

    A file that may not be read, such as one of more than `most_bytes`, is a record with the reason. `read`: makes a
    request of a file's content.

    Raises:
        Unreadable: this is no archive, or it has too much in it.
    """
    with TemporaryFile() as file:
        for piece in pieces:
            file.write(piece)
        _check_directory(file)
        try:
            archive = ZipFile(file)
            infos = [info for info in archive.infolist() if not info.is_dir()]
        except _DAMAGES as damage:
            raise Unreadable(f"is a damaged ZIP archive: {damage}") from None
        if len(infos) > MOST_FILES:
            raise Unreadable(f"has {len(infos):,} files; a job may have {MOST_FILES:,} of them")
        if (expanded := sum(info.file_size for info in infos)) > MOST_EXPANDED:
            raise Unreadable(f"expands to {expanded:,} bytes; at most {MOST_EXPANDED:,} are read")
        names: set[str] = set()
        end = 0
        for number, info in enumerate(infos, 1):
            end += info.compress_size
            content = _content(archive, info, most_bytes, names)
            wrong = content if isinstance(content, str) else None
            fields = {} if isinstance(content, str) else read(content)
            yield Record(number, end, "", fields, wrong, file=_shown(info.filename))


def _check_directory(file: IO[bytes]) -> None:
    """By its end, before the library reads all of it into memory."""
    size = file.seek(0, 2)
    start = file.seek(max(0, size - _END_SIZE - _LONGEST_COMMENT))
    tail = file.read()
    at = tail.rfind(_END)
    if at < 0 or len(tail) - at < _END_SIZE:
        raise Unreadable("is no ZIP archive, or is cut off")
    before = tail[max(0, at - _LOCATOR_SIZE) : at]
    (directory,) = struct.unpack_from("<L", tail, at + 12)
    if before.startswith(_LOCATOR) or directory > min(_MOST_DIRECTORY, start + at):
        raise Unreadable(f"has a directory that is too large; a job may have {MOST_FILES:,} files")


def _content(archive: ZipFile, info: ZipInfo, most_bytes: int, names: set[str]) -> bytes | str:
    """The file's content, or what is wrong with it."""
    if (wrong := _wrong(info, most_bytes, names)) is not None:
        return wrong
    names.add(info.filename)
    try:
        with archive.open(info) as file:
            return file.read(most_bytes + 1)
    except _DAMAGES:
        return "is damaged"


def _wrong(info: ZipInfo, most_bytes: int, names: set[str]) -> str | None:
    if len(info.filename) > LONGEST_NAME:
        return f"has a name of {len(info.filename):,} characters, and it may have {LONGEST_NAME}"
    if not _stays_inside(info.filename):
        return "has a name that leads out of the archive, or that no file can have"
    if info.filename in names:
        return "repeats the name of an earlier file"
    if info.flag_bits & 1:
        return "is encrypted"
    if info.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
        return "is neither stored nor compressed by deflate"
    if info.file_size > most_bytes:
        return f"has {info.file_size:,} bytes, and may have {most_bytes:,}"
    if info.file_size > max(_ANY_RATIO, MOST_RATIO * info.compress_size):
        return f"expands to more than {MOST_RATIO} times its size"
    return None


def _stays_inside(name: str) -> bool:
    return name.isprintable() and not any(sign in name for sign in "\\:") and not {"", ".", ".."} & {*name.split("/")}


def _shown(name: str) -> str:
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in name[:LONGEST_NAME])
