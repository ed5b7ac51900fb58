"""Dynamic batching: requests that wait at the same time run together; no request waits for a batch to fill."""

import asyncio
import math
import threading
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from pydantic import BaseModel

from boatyard.api.metrics import Metrics
from boatyard.bundle.predict import Prediction, Predictor
from boatyard.bundle.rows import UNANSWERABLE, answer_others

MOST_WAITING = 1024  # inputs
MOST_TOGETHER = 64  # inputs that a worker takes at once; the predictor groups them by cost
FEW = 8  # inputs of one request that the event loop may run itself


class QueueFull(Exception):  # noqa: N818 - says what happened
    """The queue is full; `retry_after`: whole seconds until its requests have been answered."""

    def __init__(self, retry_after: int) -> None:
        super().__init__("the server has more to do than it can")
        self.retry_after = retry_after


class Unanswerable(Exception):  # noqa: N818 - says what happened
    """The model fails on some of the rows; `predictions` has None for these."""

    def __init__(self, predictions: list[Prediction | None], detail: str = UNANSWERABLE) -> None:
        super().__init__(detail)
        self.predictions = predictions


@dataclass(eq=False, slots=True)
class _Waiting:
    predictor: Predictor
    rows: Sequence[Any]
    options: BaseModel
    since: float
    answer: asyncio.Future[list[Prediction]]


class Batcher:
    """Runs predictors in threads, one for each of `workers`, off the event loop.

    A free worker takes its share of the queue, for the model of the oldest request; cancelled requests are dropped
    before they run. Workers depend only on the queue, so a busy event loop does not stall them.

    Few inputs for a quick predictor are no work for a thread: the event loop runs those that came together itself.
    """

    def __init__(self, workers: int, metrics: Metrics) -> None:
        self._metrics = metrics
        self._waiting: deque[_Waiting] = deque()
        self._inputs = 0
        self._rate = 100.0  # inputs a second, while something runs
        self._closed = False
        self._changed = threading.Condition()  # guards all of the above
        self._next_turn: dict[Predictor, list[_Waiting]] = {}  # what the event loop runs
        self._workers = [threading.Thread(target=self._work, name="inference", daemon=True) for _ in range(workers)]
        for worker in self._workers:
            worker.start()

    def admit(self, inputs: int = 1) -> None:
        """Raises QueueFull if the queue has no room for so many more inputs."""
        if self._waiting and self._inputs + inputs > MOST_WAITING:
            raise self.full(self._inputs)

    def full(self, inputs: int) -> QueueFull:
        """The refusal where so many inputs wait."""
        return QueueFull(max(1, math.ceil(inputs / self._rate)))

    def submit(self, predictor: Predictor, rows: Sequence[Any], options: BaseModel) -> asyncio.Future[list[Prediction]]:
        """A prediction for each row, in order, or Unanswerable. If cancelled in time, it is dropped before it runs.

        Raises QueueFull.
        """
        loop = asyncio.get_running_loop()
        waiting = _Waiting(predictor, rows, options, perf_counter(), loop.create_future())
        if predictor.is_quick and len(rows) <= FEW:
            if predictor not in self._next_turn:
                loop.call_soon(self._run_next_turn, predictor)
            self._next_turn.setdefault(predictor, []).append(waiting)
            return waiting.answer
        with self._changed:
            self.admit(len(rows))
            self._waiting.append(waiting)
            self._count(len(rows))
            self._changed.notify()
        return waiting.answer

    def close(self) -> None:
        """Waits for running batches, and drops the queue."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for worker in self._workers:
            worker.join()

    def _count(self, inputs: int) -> None:
        self._inputs += inputs
        self._metrics.queued.set(self._inputs)

    def _work(self) -> None:
        while batch := self._next():
            outcome = self._outcome(batch)
            with suppress(RuntimeError):  # the loop has ended
                batch[0].answer.get_loop().call_soon_threadsafe(_deliver, batch, outcome)

    def _run_next_turn(self, predictor: Predictor) -> None:
        if batch := [waiting for waiting in self._next_turn.pop(predictor) if not waiting.answer.done()]:
            _deliver(batch, self._outcome(batch))

    def _outcome(self, batch: list[_Waiting]) -> list[Prediction | None] | Exception:
        """A prediction for each row, or what is to be raised for each request."""
        started = perf_counter()
        try:
            rows = [row for one in batch for row in one.rows]
            outcome = answer_others(batch[0].predictor, rows, [one.options for one in batch for _ in one.rows])
        except Exception as failure:  # passed on to the requests
            return failure
        except BaseException as failure:  # it would end the thread, and all requests would wait for it
            return RuntimeError(f"{type(failure).__name__}: {failure}")
        seconds = perf_counter() - started
        with self._changed:
            self._rate += 0.1 * (len(outcome) / seconds - self._rate)
        self._metrics.ran(len(outcome), seconds)
        return outcome

    def _next(self) -> list[_Waiting]:
        """The next batch, once there is one; empty after `close`."""
        with self._changed:
            while not self._closed:
                if batch := self._take():
                    return batch
                self._changed.wait()
            return []

    def _take(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        others: deque[_Waiting] = deque()
        inputs, now = 0, perf_counter()
        share = min(MOST_TOGETHER, math.ceil(self._inputs / len(self._workers)))
        while self._waiting:
            waiting = self._waiting.popleft()
            if waiting.answer.done():  # cancelled
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


def _deliver(batch: list[_Waiting], outcome: list[Prediction | None] | Exception) -> None:
    start = 0
    for waiting in batch:
        end = start + len(waiting.rows)
        if not waiting.answer.done():
            if isinstance(outcome, Exception):
                waiting.answer.set_exception(outcome)
            else:
                own = outcome[start:end]
                answered = [prediction for prediction in own if prediction is not None]
                if len(answered) == len(own):
                    waiting.answer.set_result(answered)
                else:
                    waiting.answer.set_exception(Unanswerable(own))
        start = end
