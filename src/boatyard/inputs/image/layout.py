"""What each layout of pictures finds in a folder."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from boatyard.inputs.image.pictures import SUFFIXES
from boatyard.inputs.image.rows import FILE, STATED_SIZE
from boatyard.inputs.image.serving import FIELD
from boatyard.inputs.sources import SPLIT_NAMES
from boatyard.inputs.training_protocol import Source, SourceRow
from boatyard.storage.fingerprint import file_digest


@dataclass(frozen=True)
class Layout:
    """Sources, and `surplus`: pictures beside theirs of which nothing is said."""

    sources: Sequence[Source]
    surplus: Sequence[str] = ()


@dataclass(frozen=True)
class Annotated:
    """A picture and what is said of it. `wrong`: why that cannot be read, as SourceRow has it."""

    file: Path
    target: Any = None
    stated_size: tuple[int, int] | None = None
    wrong: str | None = None
    place: str | None = None
    """The file that says it, where that is another."""


def annotated_source(
    name: str,
    split: str | None,
    files: Sequence[Path],
    read: Callable[[], Iterator[Annotated]],
    root: Path,
    column: str,
) -> Source:
    """`files`: all that the source is read from, the pictures included. `column`: under which the target is found."""

    def rows() -> Iterator[SourceRow]:
        for each in read():
            file = _below(root, each.file)
            if each.wrong is not None:
                yield SourceRow(1, {}, each.wrong, file, file=each.place or file)
                continue
            cells: Mapping[str, Any] = {FILE: file, FIELD: each.file, column: each.target}
            if each.stated_size is not None:
                cells = {**cells, STATED_SIZE: each.stated_size}
            yield SourceRow(1, cells, file=each.place or file)

    return Source(name, split, digest(root, files), rows)


def pictures_in(folder: Path) -> list[Path]:
    """Of any depth, sorted."""
    if not folder.is_dir():
        return []
    return sorted(file for file in folder.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())


def split_named(name: str) -> str | None:
    """The split that the last word of a file's or a folder's name says, as in instances_val2017."""
    word = name.lower().replace("-", "_").rpartition("_")[2].rstrip("0123456789")
    return SPLIT_NAMES.get(name.lower()) or SPLIT_NAMES.get(word)


def surplus(root: Path, there: Sequence[Path], said_of: Iterable[Path]) -> list[str]:
    """Pictures of which nothing is said."""
    known = set(said_of)
    return [_below(root, file) for file in there if file not in known]


def _below(root: Path, file: Path) -> str:
    return file.relative_to(root).as_posix() if file.is_relative_to(root) else file.as_posix()


def digest(root: Path, files: Iterable[Path], also: str = "") -> str:
    """Of the files' names and contents."""
    whole = sha256(also.encode())
    for file in files:
        content = file_digest(file) if file.is_file() else "missing"
        whole.update(f"{_below(root, file)}\0{content}\n".encode("utf-8", "surrogateescape"))
    return whole.hexdigest()
