"""The worker in every server that answers batch jobs."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from secrets import token_hex
from time import perf_counter
from typing import Any

from anyio import to_thread

from boatyard.api.answers import answers, named
from boatyard.api.batching import MOST_TOGETHER, Batcher, QueueFull, Unanswerable
from boatyard.api.ids import row_id
from boatyard.api.jobs import leases, store
from boatyard.api.jobs.leases import Lease
from boatyard.api.jobs.map import placed
from boatyard.api.jobs.store import End, Job, JobFailed, Progress
from boatyard.api.journalled import Keep, prediction_lines
from boatyard.api.metrics import Metrics
from boatyard.api.models import Models
from boatyard.api.problems import storage_problem
from boatyard.bundle.predict import Prediction, Predictor
from boatyard.bundle.rows import UNANSWERABLE, InputRow, Parsed, parse
from boatyard.config.errors import UserError, refusal
from boatyard.journal import Journal, JournalError
from boatyard.registry import Reference, UnknownModel
from boatyard.storage import Storage

POLL_SECONDS = 5.0  # for jobs whose lease has expired
YIELD_SECONDS = 0.2  # while the queue is full of requests
JOURNAL_SECONDS = 1.0  # between two checks whether the journal has room

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Answered:
    """A chunk's answers: a result line for each row, and a journal line for each row that the model answered."""

    result: list[dict[str, Any]]
    journal: list[dict[str, Any]]
    predictions: list[Prediction]
    points: list[dict[str, Any]]
    """Where the rows lie on the model's map, if it has one."""


class Worker:
    """Answers open jobs, one at a time, with lower priority than requests."""

    def __init__(
        self, storage: Storage, models: Models, batcher: Batcher, journal: Journal, metrics: Metrics, keep: Keep
    ) -> None:
        self._storage = storage
        self._models = models
        self._batcher = batcher
        self._journal = journal
        self._metrics = metrics
        self._keep = keep
        self._holder = token_hex(8)
        self._submitted = asyncio.Event()

    def wake(self) -> None:
        """Starts on a new job without waiting for the next poll."""
        self._submitted.set()

    async def work(self) -> None:
        """Runs until it is cancelled; another server, or the next start of this one, resumes the jobs."""
        while True:
            self._submitted.clear()
            try:
                open_ids = await to_thread.run_sync(store.open_ids, self._storage)
            except Exception as why:  # the storage may soon recover
                _log("jobs could not be listed", why)
                open_ids = []
            for id_ in open_ids:
                try:
                    await self._take(id_)
                except Exception as why:  # it must not block the others
                    _log(f"job {id_} could not be worked on", why)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._submitted.wait(), POLL_SECONDS)

    async def _take(self, id_: str) -> None:
        try:
            job = await to_thread.run_sync(store.find, self._storage, id_)
        except store.UnknownJob:  # it is being uploaded, or its upload was cut off
            await to_thread.run_sync(store.remove_if_cut_off, self._storage, id_)
            return
        lease = await to_thread.run_sync(leases.take, self._storage, job, self._holder)
        if lease is None:
            return
        failure = None
        try:
            how = await to_thread.run_sync(store.end, self._storage, job) or await self._try(job, lease)
            if how is not None:
                await to_thread.run_sync(store.write_end, self._storage, job, how)
        except Exception as why:
            _log(f"job {job.id} waits", why)
            failure = _failure(why)
            if lease.attempts >= leases.MOST_ATTEMPTS:
                await to_thread.run_sync(store.write_end, self._storage, job, _exhausted(failure))
        finally:  # also when the server stops
            with suppress(OSError):
                await to_thread.run_sync(leases.release, self._storage, job, self._holder, failure)

    async def _try(self, job: Job, lease: Lease) -> End | None:
        """How the job ended; None if another server has the lease now."""
        if lease.attempts > leases.MOST_ATTEMPTS:
            return _exhausted(lease.why or "the server stopped during each of them")
        try:
            return await self._answer(job)
        except (JobFailed, UnknownModel) as why:
            return End("failed", str(why))

    async def _answer(self, job: Job) -> End | None:
        predictor = await self._models.get(Reference(job.model, job.version))
        at = await to_thread.run_sync(store.progress, self._storage, job)
        done, required = at.chunks, predictor.manifest.request_schema.get("required", [])
        chunks = store.chunks(self._storage, job, required, predictor.file_formats)
        while (chunk := await to_thread.run_sync(next, chunks, None)) is not None:
            if done:  # answered before this lease
                done -= 1
                continue
            if not await self._renew(job):
                return None
            answered = await self._answer_chunk(predictor, job, chunk)
            if not await self._journalled(job, answered.journal):
                return None
            self._metrics.count(predictor, answered.predictions)
            bad = len(answered.result) - len(answered.predictions)
            at = Progress(at.chunks + 1, chunk[-1].number, at.bad + bad, chunk[-1].end)
            if answered.points:
                await to_thread.run_sync(store.write_points, self._storage, job, at.chunks, answered.points)
            await to_thread.run_sync(store.write_chunk, self._storage, job, at, answered.result)
        return End("finished")

    async def _answer_chunk(self, predictor: Predictor, job: Job, chunk: list[InputRow]) -> _Answered:
        answered = _Answered([], [], [], [])
        for start in range(0, len(chunk), MOST_TOGETHER):
            started, batch = perf_counter(), chunk[start : start + MOST_TOGETHER]
            parsed = await to_thread.run_sync(_parse_all, predictor, batch)
            answers_in_order = iter(await self._predict(predictor, [each.row for each in parsed if each.wrong is None]))
            predictions = [next(answers_in_order) if each.wrong is None else None for each in parsed]
            for row, each, prediction in zip(batch, parsed, predictions, strict=True):
                if prediction is None:
                    answered.result.append({**_place(row), "error": each.wrong or UNANSWERABLE})
                    continue
                id_ = row_id(job.id, row.number, Reference(job.model, job.version))
                own = answers(predictor.manifest, [id_], [prediction], started)
                (line,) = prediction_lines(predictor.manifest, [each.request], [prediction], own, self._keep)
                answered.result.append(_result_line(row, id_, prediction))
                answered.journal.append({**line, "job": job.id, "row": row.number})
                answered.predictions.append(prediction)
                if prediction.place is not None:
                    answered.points.append(placed(row.number, prediction.place, prediction.name))
        return answered

    async def _predict(self, predictor: Predictor, rows: list[Any]) -> Sequence[Prediction | None]:
        if not rows:
            return []
        while True:
            try:
                return await self._batcher.submit(predictor, rows, predictor.default_options)
            except Unanswerable as failed:
                return failed.predictions
            except QueueFull:
                await asyncio.sleep(YIELD_SECONDS)

    async def _journalled(self, job: Job, lines: list[dict[str, Any]]) -> bool:
        """Journals answers before they can be read, once there is room; False if another server has the lease now."""
        while True:
            if not self._journal.is_crowded:
                with suppress(JournalError):
                    await to_thread.run_sync(self._journal.append, lines)
                    return True
            await asyncio.sleep(JOURNAL_SECONDS)
            if not await self._renew(job):
                return False

    async def _renew(self, job: Job) -> bool:
        return await to_thread.run_sync(leases.renew, self._storage, job, self._holder)


def _parse_all(predictor: Predictor, rows: Sequence[InputRow]) -> list[Parsed]:
    return [parse(predictor, row) for row in rows]


def _result_line(row: InputRow, id_: str, prediction: Prediction) -> dict[str, Any]:
    """Depends only on the row and the model, so every server writes the same line."""
    return {**_place(row), "id": id_, **named(prediction), **prediction.answer, "truncated": prediction.truncated}


def _place(row: InputRow) -> dict[str, Any]:
    return {"row": row.number} if row.file is None else {"row": row.number, "file": row.file}


def _log(sentence: str, why: Exception) -> None:
    """With a traceback where the failure is unexpected."""
    if isinstance(why, OSError | UserError):
        logger.warning("%s: %s", sentence, refusal(why))
    else:
        logger.error("%s: %s", sentence, why, exc_info=why)


def _failure(why: Exception) -> str:
    """The reason, without details that the client must not see."""
    if isinstance(why, OSError):
        return storage_problem(why).document.detail
    return str(why) if isinstance(why, UserError) else "the server failed; its log says why"


def _exhausted(why: str) -> End:
    return End("failed", f"{leases.MOST_ATTEMPTS} attempts in a row made no progress: {why}")
