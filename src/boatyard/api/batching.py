"""Requests that wait at the same time run together; nobody waits for company."""

import asyncio
import math
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from boatyard.api.metrics import Metrics
from boatyard.predict import Prediction, Predictor

MOST_WAITING = 1024  # inputs
MOST_TOGETHER = 64  # inputs that a worker takes at once; the predictor splits them by length


class QueueFull(Exception):  # noqa: N818 - says what happened
    """More is waiting already than may; `retry_after`: whole seconds until that has been answered."""

    def __init__(self, retry_after: int) -> None:
        super().__init__("the server has more to do than it can")
        self.retry_after = retry_after


@dataclass(eq=False, slots=True)
class _Waiting:
    predictor: Predictor
    rows: Sequence[Any]
    top_k: int
    since: float
    answer: asyncio.Future[list[Prediction]]


class Batcher:
    """Runs predictors in `workers` threads, off the event loop that everything else here belongs to.

    A free worker takes its share of what waits, for the model of the oldest request; what its client gave up is dropped
    unbegun.
    """

    def __init__(self, workers: int, metrics: Metrics) -> None:
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="inference")
        self._workers = self._idle = workers
        self._metrics = metrics
        self._waiting: deque[_Waiting] = deque()
        self._inputs = 0
        self._rate = 100.0  # inputs a second, while something runs

    def admit(self, inputs: int = 1) -> None:
        """Raises QueueFull where so many more inputs would find no room."""
        if self._waiting and self._inputs + inputs > MOST_WAITING:
            raise QueueFull(max(1, math.ceil(self._inputs / self._rate)))

    def submit(self, predictor: Predictor, rows: Sequence[Any], top_k: int) -> asyncio.Future[list[Prediction]]:
        """A prediction for each row, in their order. Cancelled before it began, it is not run. Raises QueueFull."""
        self.admit(len(rows))
        waiting = _Waiting(predictor, rows, top_k, perf_counter(), asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._count(len(rows))
        self._start()
        return waiting.answer

    def close(self) -> None:
        """Waits for what runs."""
        self._threads.shutdown()

    def _count(self, inputs: int) -> None:
        self._inputs += inputs
        self._metrics.queued.set(self._inputs)

    def _start(self) -> None:
        while self._idle and (batch := self._next()):
            self._idle -= 1
            run = asyncio.get_running_loop().run_in_executor(self._threads, self._run, batch)
            run.add_done_callback(lambda done, batch=batch: self._finish(done, batch))  # type: ignore[misc]

    def _next(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        others: deque[_Waiting] = deque()
        inputs, now = 0, perf_counter()
        share = min(MOST_TOGETHER, math.ceil(self._inputs / self._workers))
        while self._waiting:
            waiting = self._waiting.popleft()
            if waiting.answer.done():  # given up
                self._count(-len(waiting.rows))
            elif batch and waiting.predictor is not batch[0].predictor:
                others.append(waiting)
            elif batch and inputs + len(waiting.rows) > share:
                others.append(waiting)
                break
            else:
                batch.append(waiting)
                inputs += len(waiting.rows)
                self._metrics.waited.observe(now - waiting.since)
        others.extend(self._waiting)
        self._waiting = others
        self._count(-inputs)
        return batch

    def _run(self, batch: list[_Waiting]) -> tuple[list[Prediction], float]:
        started = perf_counter()
        rows = [row for waiting in batch for row in waiting.rows]
        top_k = max(waiting.top_k for waiting in batch)
        predictions = batch[0].predictor.answer(rows, top_k)
        return predictions, perf_counter() - started

    def _finish(self, run: "asyncio.Future[tuple[list[Prediction], float]]", batch: list[_Waiting]) -> None:
        self._idle += 1
        self._start()  # before anything else, so that no worker is without work for longer than need be
        if failure := run.exception():
            for waiting in batch:
                if not waiting.answer.done():
                    waiting.answer.set_exception(failure)
            return
        predictions, seconds = run.result()
        self._rate += 0.1 * (len(predictions) / seconds - self._rate)
        self._metrics.ran(len(predictions), seconds)
        start = 0
        for waiting in batch:
            found = predictions[start : start + len(waiting.rows)]
            start += len(waiting.rows)
            if not waiting.answer.done():
                waiting.answer.set_result([prediction.cut(waiting.top_k) for prediction in found])
