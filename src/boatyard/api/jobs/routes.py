"""Behind the job routes: receive a file, report a job's progress, send its answers."""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import suppress
from typing import Literal

from anyio import to_thread
from fastapi import Request
from pydantic import BaseModel, Field

from boatyard.api.jobs import store
from boatyard.api.jobs.as_csv import AsCsv
from boatyard.api.jobs.overlays import drawable
from boatyard.api.jobs.store import Job, Submission
from boatyard.api.problems import Problem
from boatyard.api.requests import media_type, read_pieces
from boatyard.bundle.predict import Predictor
from boatyard.config.errors import UserError
from boatyard.inputs.records import Format
from boatyard.storage import Storage

MOST_OPEN = 20

CSV = "text/csv"
FORMATS: Mapping[str, Format] = {
    CSV: "csv",
    "text/tab-separated-values": "tsv",
    "application/jsonl": "jsonl",
    "application/x-ndjson": "jsonl",
}

RESULTS = ("application/jsonl", "application/x-ndjson", CSV)
"""What a result may be; the first by default."""


class JobState(BaseModel):
    """A job's progress."""

    id: str
    state: Literal["running", "finished", "failed"]
    model: str
    version: str
    submitted: str
    rows: int = Field(description="Answered so far, the bad ones included.")
    bad: int = Field(description="Rows that the model cannot take; the result says why.")
    share: float = Field(description="Of the file, from 0 to 1.")
    reason: str | None = Field(default=None, description="Why it failed.")
    map: bool = Field(default=False, description="Whether there is a map of its rows.")
    overlays: bool = Field(default=False, description="Whether its rows can be looked at with their answers.")


async def submit(request: Request, storage: Storage, predictor: Predictor) -> Job:
    """Stores a file while it is uploaded. Raises Problem."""
    sent = media_type(request.headers, [*FORMATS, *predictor.file_formats])
    if len(await to_thread.run_sync(store.open_ids, storage)) >= MOST_OPEN:
        raise Problem(429, f"{MOST_OPEN} jobs are open already", headers={"retry-after": "60"})
    manifest = predictor.manifest
    submission = Submission(storage, manifest.name, manifest.version, FORMATS.get(sent, sent))
    try:
        async for data in read_pieces(request):
            due = submission.add(data)
            if (why := submission.unreadable) is not None:
                raise Problem(415, f"the file {why}", headers={"connection": "close"})
            if submission.too_large:
                most = f"a job may have {store.MOST_BYTES:,} bytes; {store.BEYOND}"
                raise Problem(413, most, headers={"connection": "close"})
            if submission.too_slow:
                seconds = f"{store.UPLOAD_SECONDS:,.0f}"
                raise Problem(408, f"a job must be sent within {seconds} seconds", headers={"connection": "close"})
            if due:
                await to_thread.run_sync(submission.store)
        await to_thread.run_sync(submission.store)
    except Exception:  # if this process is killed, a worker cleans up
        with suppress(OSError, UserError):
            await to_thread.run_sync(submission.abandon)
        raise
    return await to_thread.run_sync(submission.finish)


def state(storage: Storage, job: Job) -> JobState:
    """From the storage alone, so that any server can answer."""
    ended, at = store.end(storage, job), store.progress(storage, job)
    return JobState(
        id=job.id,
        state=ended.state if ended else "running",
        model=job.model,
        version=job.version,
        submitted=job.submitted,
        rows=at.rows,
        bad=at.bad,
        share=1.0 if ended and ended.state == "finished" else round(at.bytes / max(job.bytes, 1), 4),
        reason=ended.reason if ended else None,
        map=ended is not None and bool(store.point_keys(storage, job)),
        overlays=ended is not None and drawable(storage, job) is not None,
    )


async def result(storage: Storage, keys: Iterable[str], as_csv: AsCsv | None) -> AsyncIterator[bytes]:
    """The answers, chunk by chunk, as they are stored or as CSV."""
    if as_csv:
        yield as_csv.header
    for key in keys:
        lines = await to_thread.run_sync(storage.read, key)
        yield await to_thread.run_sync(as_csv.rows, lines) if as_csv else lines
