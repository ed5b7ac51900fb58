"""A job's rows as people look at them, with the marks of their answers, in a ZIP archive made as it is sent."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import RawIOBase
from typing import Any, Protocol
from zipfile import ZIP_STORED, ZipFile

from pydantic_core import from_json

from boatyard import inputs, registry, tasks
from boatyard.api.jobs import store
from boatyard.api.jobs.store import Job
from boatyard.bundle.manifest import BundleError
from boatyard.bundle.rows import InputRow
from boatyard.inputs.protocol import Mark
from boatyard.registry import UnknownModel
from boatyard.storage import Storage

MEDIA_TYPE = "application/zip"
_SUFFIX = ".jpg"


class _Draw(Protocol):
    def __call__(self, request: Mapping[str, Any], marks: Sequence[Mark]) -> bytes: ...


class _Marks(Protocol):
    def __call__(self, answer: Mapping[str, Any]) -> list[Mark]: ...


@dataclass(frozen=True)
class Overlays:
    """How rows of a model's input and answers of its task are drawn."""

    draw: _Draw
    marks: _Marks
    readers: Mapping[str, store.Reader]

    def archive(self, storage: Storage, job: Job) -> Iterator[bytes]:
        """A JPEG for each row that was answered, by the name of its file or its number."""
        written, names = _Written(), set[str]()
        with ZipFile(written, "w", ZIP_STORED) as archive:  # of JPEG, nothing can be compressed
            for row, answer in self._answered(storage, job):
                name = _name(row)
                while name in names:  # as for a.png beside a.png.jpg
                    name += _SUFFIX
                names.add(name)
                archive.writestr(name, self.draw(row.fields, self.marks(answer)))
                yield written.taken()
        yield written.taken()

    def _answered(self, storage: Storage, job: Job) -> Iterator[tuple[InputRow, Mapping[str, Any]]]:
        keys = store.result_keys(storage, job)
        for key, rows in zip(keys, store.chunks(storage, job, others=self.readers), strict=False):
            answers = map(from_json, storage.read(key).splitlines())
            yield from ((row, answer) for row, answer in zip(rows, answers, strict=True) if "error" not in answer)


def drawable(storage: Storage, job: Job) -> Overlays | None:
    """None where its rows cannot be looked at, its answers say nothing of places in them, or its model is gone."""
    try:
        card = registry.read_manifest(storage, job.model, job.version)
    except (UnknownModel, BundleError):
        return None
    input_ = inputs.serving(card.input)
    draw, marks = getattr(input_, "draw", None), getattr(tasks.serving(card.task), "marks", None)
    return Overlays(draw, marks, input_.FILE_FORMATS) if draw and marks else None


class _Written(RawIOBase):
    """What was written since it was taken last."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, piece: Any) -> int:
        self._pieces.append(bytes(piece))
        return len(piece)

    def taken(self) -> bytes:
        taken = b"".join(self._pieces)
        self._pieces.clear()
        return taken


def _name(row: InputRow) -> str:
    name = row.file or f"row {row.number}"
    return name if name.lower().endswith((_SUFFIX, ".jpeg")) else f"{name}{_SUFFIX}"
