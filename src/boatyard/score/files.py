"""The files that hold the rows: what lies at a path, and how each is read, by its name."""

import logging
import os.path
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import BinaryIO, NamedTuple, get_args

from boatyard import inputs
from boatyard.bundle.manifest import Card
from boatyard.config.errors import UserError
from boatyard.inputs import records
from boatyard.inputs.records import Format, Record
from boatyard.storage import Storage, open_storage

PARQUET = "parquet"
TABLES = get_args(Format)

_SUFFIXES: Mapping[str, str] = {**records.SUFFIXES, ".parquet": PARQUET}
_PIECE = 2**20  # bytes read at once

log = logging.getLogger(__name__)


class File(NamedTuple):
    """`form`: a Format, PARQUET or a media type of the input; `name`: as people see it; `mark`: of its content."""

    key: str
    name: str
    form: str
    size: int
    mark: str


class Forms:
    """How an input reads files that are no tables."""

    def __init__(self, card: Card) -> None:
        input_ = inputs.serving(card.input)
        self.streams: Mapping[str, Callable[[Iterable[bytes]], Iterator[Record]]] = input_.FILE_FORMATS
        """Files of rows."""
        self.singles: Mapping[str, Callable[[bytes], object]] = input_.MEDIA_TYPES
        """Files that each are one."""
        self.most_bytes: int | None = getattr(input_, "MOST_RAW_BYTES", None)
        """Of a single one."""
        self.by_suffix: dict[str, str] = {**_SUFFIXES, **getattr(input_, "SUFFIXES", {})}

    def of(self, name: str) -> str | None:
        """By the longest suffix that the name has."""
        fitting = [suffix for suffix in self.by_suffix if name.lower().endswith(suffix)]
        return self.by_suffix[max(fitting, key=len)] if fitting else None

    def is_single(self, file: File) -> bool:
        """Whether the file is a row."""
        return file.form in self.singles and file.form not in self.streams


def place_of(path: str) -> str:
    """The path from the root on, whatever it is called relative to: `..` too is gone from it."""
    if "://" in path:
        return path.rstrip("/")
    absolute = os.path.abspath(Path(path).expanduser())  # noqa: PTH100 - Path's own leaves `..`, or follows links
    return Path(absolute).as_posix()


def lies_in(inner: str, outer: str) -> bool:
    """Whether the one path is the other or below it, be it through a link."""
    return any(f"{place(inner)}/".startswith(f"{place(outer)}/") for place in (place_of, _true_place_of))


def _true_place_of(path: str) -> str:
    return path.rstrip("/") if "://" in path else Path(path).expanduser().resolve().as_posix()


def find_files(path: str, forms: Forms) -> tuple[Storage, list[File]]:
    """The files at the path, a file or a folder with others inside, and the storage in which they lie.

    Raises:
        UserError: there is none that can be read.
    """
    root, _, name = place_of(path).rpartition("/")
    if not name or ("://" in path and "://" not in root):  # a bucket, or none
        raise UserError(f"score.rows={path}: name a file or a folder in it")
    storage = open_storage(root or "/")
    there = storage.describe(name)
    files = [
        File(key, key.removeprefix(f"{name}/"), form, stored.size, stored.mark)
        for key, stored in there.items()
        if (form := forms.of(key)) is not None
    ]
    if not there:
        raise UserError(f"score.rows={path}: there is no such file, and no folder with files in it")
    if not files:
        raise UserError(f"score.rows={path}: no file there can be read; expected {', '.join(forms.by_suffix)}")
    if others := there.keys() - {file.key for file in files}:
        first = min(others).removeprefix(f"{name}/")
        log.warning(
            "passing over %d of %d files, which hold no rows by their names: %s", len(others), len(there), first
        )
    return storage, files


def pieces(file: BinaryIO) -> Iterator[bytes]:
    """The bytes from where it is on."""
    return iter(partial(file.read, _PIECE), b"")
