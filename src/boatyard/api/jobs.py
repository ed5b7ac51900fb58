"""Jobs over HTTP, and the worker that every server lends them."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import suppress
from secrets import token_hex
from typing import Any, Literal

from anyio import to_thread
from fastapi import Request
from pydantic import BaseModel, ConfigDict

from boatyard import jobs
from boatyard.api.batching import MOST_TOGETHER, Batcher, QueueFull
from boatyard.api.models import Models, ModelUnavailable
from boatyard.api.requests import media_type, read_pieces
from boatyard.errors import UserError
from boatyard.jobs import End, InputRow, Job, JobFailed, Progress, Submission
from boatyard.kinds.protocol import InvalidInput
from boatyard.predict import Predictor
from boatyard.problems import Problem
from boatyard.records import Format
from boatyard.registry import Reference, UnknownModel
from boatyard.storage import Storage

MOST_OPEN = 20
TOP_K = 3
LOOK_SECONDS = 5.0  # for jobs that another server took and left
YIELD_SECONDS = 0.2  # to whoever waits for an answer

FORMATS: Mapping[str, Format] = {
    "text/csv": "csv",
    "text/tab-separated-values": "tsv",
    "application/jsonl": "jsonl",
    "application/x-ndjson": "jsonl",
}

logger = logging.getLogger(__name__)


class JobState(BaseModel):
    """How a job is doing."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    id: str
    state: Literal["running", "finished", "failed"]
    model: str
    version: str
    submitted: str
    rows: int
    """Answered so far, the bad ones included."""
    bad: int
    """Rows that the model cannot take; the result says why."""
    share: float
    """Of the file, from 0 to 1."""
    reason: str | None = None
    """Why it failed."""


async def submit(request: Request, storage: Storage, predictor: Predictor) -> Job:
    """Takes a file as it comes in. Raises Problem."""
    sent = media_type(request, FORMATS)
    if len(await to_thread.run_sync(jobs.open_ids, storage)) >= MOST_OPEN:
        raise Problem(429, f"{MOST_OPEN} jobs are open already", headers={"retry-after": "60"})
    manifest = predictor.manifest
    submission = Submission(storage, manifest.name, manifest.version, FORMATS[sent])
    try:
        async for data in read_pieces(request):
            due = submission.add(data)
            if (why := submission.unreadable) is not None:
                raise Problem(415, f"the file {why}", headers={"connection": "close"})
            if submission.too_large:
                raise Problem(413, f"a job may have {jobs.MOST_BYTES:,} bytes", headers={"connection": "close"})
            if submission.too_slow:
                seconds = f"{jobs.UPLOAD_SECONDS:,.0f}"
                raise Problem(408, f"a job must be sent within {seconds} seconds", headers={"connection": "close"})
            if due:
                await to_thread.run_sync(submission.store)
        await to_thread.run_sync(submission.store)
    except Exception:  # where this process is ended, a worker cleans up
        with suppress(OSError, UserError):
            submission.abandon()
        raise
    return await to_thread.run_sync(submission.finish)


def state(storage: Storage, job: Job) -> JobState:
    """As the storage tells it, so that any server can answer."""
    ended, at = jobs.end(storage, job), jobs.progress(storage, job)
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
    )


async def result(storage: Storage, keys: Iterable[str]) -> AsyncIterator[bytes]:
    """The answers, chunk by chunk."""
    for key in keys:
        yield await to_thread.run_sync(storage.read, key)


def _check_columns(predictor: Predictor, job: Job, row: InputRow) -> None:
    required = predictor.manifest.input_schema.get("required", [])
    missing = [name for name in required if row.fields is not None and name not in row.fields]
    if missing and job.format != "jsonl":
        raise JobFailed(f"the header names no column {' and no column '.join(map(repr, missing))}")


class Worker:
    """Answers open jobs, one at a time, behind the requests of clients who wait."""

    def __init__(self, storage: Storage, models: Models, batcher: Batcher) -> None:
        self._storage = storage
        self._models = models
        self._batcher = batcher
        self._holder = token_hex(8)
        self._submitted = asyncio.Event()

    def wake(self) -> None:
        """There is a new job."""
        self._submitted.set()

    async def work(self) -> None:
        """Until it is cancelled; then another server, or the next start, goes on."""
        while True:
            self._submitted.clear()
            try:
                names = await to_thread.run_sync(jobs.open_ids, self._storage)
            except Exception:  # the storage may be back in a moment
                logger.exception("jobs could not be looked for")
                names = []
            for name in names:
                try:
                    await self._take(name)
                except Exception:  # the others are not held up
                    logger.exception("job %s could not be worked on", name)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._submitted.wait(), LOOK_SECONDS)

    async def _take(self, name: str) -> None:
        try:
            job = await to_thread.run_sync(jobs.find, self._storage, name)
        except jobs.UnknownJob:  # it is being submitted, or was
            await to_thread.run_sync(jobs.forget_if_cut_off, self._storage, name)
            return
        if not await self._lease(job):
            return
        try:
            how = await to_thread.run_sync(jobs.end, self._storage, job) or await self._answer(job)
        except ModelUnavailable as why:
            logger.warning("job %s waits: %s", job.id, why)
        except (JobFailed, UnknownModel) as why:
            await to_thread.run_sync(jobs.write_end, self._storage, job, End("failed", str(why)))
        else:
            if how is not None:
                await to_thread.run_sync(jobs.write_end, self._storage, job, how)
        finally:  # given back at once, also when the server stops
            with suppress(OSError):
                jobs.lease(self._storage, job, self._holder, 0)

    async def _answer(self, job: Job) -> End | None:
        """How the job ended; None if somebody else goes on with it."""
        predictor = await self._models.get(Reference(job.model, job.version))
        at = await to_thread.run_sync(jobs.progress, self._storage, job)
        done, chunks = at.chunks, jobs.chunks(self._storage, job)
        while (chunk := await to_thread.run_sync(next, chunks, None)) is not None:
            if done:  # by whoever worked on it before
                done -= 1
                continue
            if not await self._lease(job):
                return None
            _check_columns(predictor, job, chunk[0])
            lines = [line async for line in self._lines(predictor, chunk)]
            bad = sum("error" in line for line in lines)
            at = Progress(at.chunks + 1, chunk[-1].number, at.bad + bad, chunk[-1].end)
            await to_thread.run_sync(jobs.write_chunk, self._storage, job, at, lines)
        return End("finished")

    async def _lines(self, predictor: Predictor, chunk: list[InputRow]) -> AsyncIterator[dict[str, Any]]:
        wanted = predictor.manifest.input_schema.get("properties", {})
        for start in range(0, len(chunk), MOST_TOGETHER):
            few = chunk[start : start + MOST_TOGETHER]
            parsed: dict[int, Any] = {}
            wrong = {row.number: row.wrong for row in few if row.wrong is not None}
            for row in few:
                if row.wrong is None:
                    given = row.fields  # a file may have more columns than the model reads
                    if isinstance(given, dict):
                        given = {name: value for name, value in given.items() if name in wanted}
                    try:
                        parsed[row.number] = predictor.model.parse(given)
                    except InvalidInput as refused:
                        wrong[row.number] = refused.detail
            answers = dict(zip(parsed, await self._ask(predictor, list(parsed.values())), strict=True))
            for row in few:
                if (why := wrong.get(row.number)) is not None:
                    yield {"row": row.number, "error": why}
                else:
                    answer = answers[row.number]
                    top = [{"label": label, "score": score} for label, score in answer.top]
                    yield {"row": row.number, "label": answer.label, "score": answer.score, "top": top}

    async def _ask(self, predictor: Predictor, rows: list[Any]) -> list[Any]:
        if not rows:
            return []
        while True:
            try:
                return await self._batcher.submit(predictor, rows, TOP_K)
            except QueueFull:
                await asyncio.sleep(YIELD_SECONDS)

    async def _lease(self, job: Job) -> bool:
        return await to_thread.run_sync(jobs.lease, self._storage, job, self._holder)
