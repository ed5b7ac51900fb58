"""A job in the storage: the uploaded file, its rows, the answers and how it ended."""

import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from secrets import token_hex
from time import monotonic, time
from types import MappingProxyType
from typing import Any, Literal, cast, get_args

from pydantic_core import to_json

from boatyard.bundle.rows import InputRow, chunks_of, rows_of
from boatyard.config.errors import UserError
from boatyard.inputs.lines import Unreadable, check_start
from boatyard.inputs.records import Format, Record, read_records
from boatyard.storage import AlreadyExists, NotFound, Storage

PART_BYTES = 4 * 2**20
MOST_BYTES = 100 * 2**20
MOST_ROWS = 1_000_000
BEYOND = (
    "split the file"
    ", or use `invoke score`, which takes any number of rows"  # part: scale
)
UPLOAD_SECONDS = 3600.0
ID = r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{16}"

FORMATS: tuple[str, ...] = get_args(Format)
"""File formats that every input takes."""
Reader = Callable[[Iterable[bytes]], Iterator[Record]]

_STAMP = "%Y%m%dT%H%M%SZ"
_RESULT = re.compile(r"result/(\d{6})\.(\d+)\.(\d+)\.(\d+)\.jsonl")


class UnknownJob(UserError):  # noqa: N818 - says what happened
    """There is no such job."""


class JobFailed(UserError):  # noqa: N818 - says what happened
    """The rest of the file cannot be answered."""


@dataclass(frozen=True)
class Job:
    """What was submitted. Later promotions do not change its `version`."""

    id: str
    model: str
    version: str
    format: str
    """One of those that every input takes, or the media type of one that the model's own input reads."""
    bytes: int
    parts: int
    submitted: str


@dataclass(frozen=True)
class Progress:
    """How far a job is: `bad` of its `rows` so far could not be answered; `bytes` of the file were read."""

    chunks: int = 0
    rows: int = 0
    bad: int = 0
    bytes: int = 0


@dataclass(frozen=True)
class End:
    """How the job ended; `reason`: why it failed."""

    state: Literal["finished", "failed"]
    reason: str | None = None


@dataclass
class Submission:
    """A job that is being uploaded; it exists only after `finish`."""

    storage: Storage
    model: str
    version: str
    format: str
    id: str = field(default_factory=lambda: f"{datetime.now(UTC):{_STAMP}}-{token_hex(8)}")
    _part: bytearray = field(default_factory=bytearray)
    _parts: int = 0
    _bytes: int = 0
    _begun: bool = False
    _since: float = field(default_factory=monotonic)

    def add(self, data: bytes) -> bool:
        """Buffers the next bytes; whether `store` should be called."""
        self._part += data
        self._bytes += len(data)
        return len(self._part) >= PART_BYTES

    @property
    def unreadable(self) -> str | None:
        """Why the file cannot be read, judging by its first bytes."""
        if self._parts or self.format not in FORMATS:
            return None
        try:
            check_start(self._part)
        except Unreadable as why:
            return str(why)
        return None

    @property
    def too_large(self) -> bool:
        """Whether the file exceeds the size limit."""
        return self._bytes > MOST_BYTES

    @property
    def too_slow(self) -> bool:
        """Whether the upload exceeds the time limit, after which workers may treat it as cut off."""
        return monotonic() - self._since > UPLOAD_SECONDS

    def store(self) -> None:
        """Flushes the buffer to the storage."""
        if not self._begun:  # first, so that the parts can be cleaned up even if this process ends
            self.storage.write_once(_open_key(self.id), b"")
            self._begun = True
        while self._part:
            self._parts += 1
            self.storage.write_once(_part_key(self.id, self._parts), bytes(self._part[:PART_BYTES]))
            del self._part[:PART_BYTES]

    def finish(self) -> Job:
        """Creates the job."""
        self.store()
        submitted = datetime.now(UTC).isoformat(timespec="seconds")
        job = Job(self.id, self.model, self.version, self.format, self._bytes, self._parts, submitted)
        self.storage.write_once(f"jobs/{self.id}/job.json", to_json(asdict(job)))
        return job

    def abandon(self) -> None:
        """Removes what was stored."""
        parts = [_part_key(self.id, number) for number in range(1, self._parts + 1)]
        self.storage.remove([*parts, _open_key(self.id)])


def open_ids(storage: Storage) -> list[str]:
    """Jobs that are being uploaded or have not ended, oldest first."""
    ids = (key.removeprefix(_open_key("")) for key in storage.list(_open_key("")))
    return [id_ for id_ in ids if re.fullmatch(ID, id_)]


def remove_if_cut_off(storage: Storage, job: str) -> None:
    """Removes the parts of an upload that exceeded its time limit."""
    begun = datetime.strptime(job.partition("-")[0], _STAMP).replace(tzinfo=UTC)
    if time() - begun.timestamp() > 2 * UPLOAD_SECONDS:  # twice, since clocks differ
        storage.remove([*storage.list(f"jobs/{job}/input/"), _open_key(job)])


def find(storage: Storage, job: str) -> Job:
    """Raises UnknownJob."""
    if not re.fullmatch(ID, job):
        raise UnknownJob(f"there is no job {job[:60]!r}")
    try:
        return Job(**json.loads(storage.read(f"jobs/{job}/job.json")))
    except NotFound:
        raise UnknownJob(f"there is no job {job!r}") from None


def end(storage: Storage, job: Job) -> End | None:
    """None while the job is running."""
    try:
        return End(**json.loads(storage.read(f"jobs/{job.id}/end.json")))
    except NotFound:
        return None


def progress(storage: Storage, job: Job) -> Progress:
    """According to the results."""
    keys = result_keys(storage, job)
    named = _RESULT.fullmatch(keys[-1].removeprefix(f"jobs/{job.id}/")) if keys else None
    return Progress(*map(int, named.groups())) if named else Progress()


def result_keys(storage: Storage, job: Job) -> list[str]:
    """The keys of the answers, in the order of the rows."""
    return storage.list(f"jobs/{job.id}/result/")


def write_chunk(storage: Storage, job: Job, at: Progress, lines: list[dict[str, Any]]) -> None:
    """`at`: the progress that includes these lines."""
    key = f"jobs/{job.id}/result/{at.chunks:06}.{at.rows}.{at.bad}.{at.bytes}.jsonl"
    with suppress(AlreadyExists):  # another server wrote the same answers
        storage.write_once(key, b"".join(to_json(line) + b"\n" for line in lines))


def write_points(storage: Storage, job: Job, chunk: int, lines: list[dict[str, Any]]) -> None:
    """Where the rows of a chunk lie on the map: before its answers, which say that it is done."""
    with suppress(AlreadyExists):
        storage.write_once(f"jobs/{job.id}/map/{chunk:06}.jsonl", b"".join(to_json(line) + b"\n" for line in lines))


def point_keys(storage: Storage, job: Job) -> list[str]:
    """What `write_points` wrote, in the order of the rows."""
    return storage.list(f"jobs/{job.id}/map/")


def write_end(storage: Storage, job: Job, how: End) -> None:
    """Only the first call has an effect."""
    with suppress(AlreadyExists):
        storage.write_once(f"jobs/{job.id}/end.json", to_json(asdict(how)))
    storage.remove([_open_key(job.id)])


def chunks(
    storage: Storage, job: Job, required: Collection[str] = (), others: Mapping[str, Reader] = MappingProxyType({})
) -> Iterator[list[InputRow]]:
    """All rows of the file; the chunks are the same each time.

    `required`: the columns that the header, if the format has one, must name. `others`: readers of further formats.

    Raises:
        JobFailed: the rest cannot be read.
    """
    try:
        yield from chunks_of(_at_most(MOST_ROWS, rows_of(_records(storage, job, required, others))))
    except Unreadable as why:
        raise JobFailed(f"the file {why}") from None


def _at_most(most: int, rows: Iterator[InputRow]) -> Iterator[InputRow]:
    for row in rows:
        if row.number > most:
            raise JobFailed(f"the file has more than {most:,} rows; {BEYOND}")
        yield row


def _records(storage: Storage, job: Job, required: Collection[str], others: Mapping[str, Reader]) -> Iterator[Record]:
    parts = (storage.read(_part_key(job.id, number)) for number in range(1, job.parts + 1))
    if job.format not in FORMATS:
        if (read := others.get(job.format)) is None:
            raise JobFailed(f"{job.model} reads no files of {job.format}")
        return read(parts)
    header, records = read_records(parts, cast(Format, job.format))
    if job.format != "jsonl" and (missing := [name for name in required if name not in header]):
        raise JobFailed(f"the header names no column {' and no column '.join(map(repr, missing))}")
    return records


def _open_key(job: str) -> str:
    return f"jobs/open/{job}"


def _part_key(job: str, number: int) -> str:
    return f"jobs/{job}/input/{number:06}"
