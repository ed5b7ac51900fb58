"""The micro-batcher: what waits together runs together, in turn, and what was given up does not run."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from pydantic import BaseModel
from threadpoolctl import threadpool_info, threadpool_limits

from boatyard.api import Application, batching, server
from boatyard.api.batching import FEW, Batcher, QueueFull, Unanswerable
from boatyard.api.metrics import Metrics
from boatyard.api.settings import Settings
from boatyard.bundle.predict import Prediction, Predictor

pytestmark = pytest.mark.unit


class Gated:
    """Answers a row with itself, once the gate is open, and keeps what it was asked. It fails at some rows."""

    manifest = SimpleNamespace(version="1")

    def __init__(self) -> None:
        self.is_quick = False
        self.threads: list[int] = []
        self.broken = False
        self.gate = threading.Event()
        self.runs: list[list[Any]] = []
        self.began = threading.Semaphore(0)

    def works(self) -> bool:
        return not self.broken

    def answer_each(self, rows: Sequence[Any], options: Sequence[BaseModel]) -> list[Prediction]:
        self.runs.append(list(rows))
        self.threads.append(threading.get_ident())
        self.began.release()
        assert self.gate.wait(10)
        if self.broken or any(row.startswith("broken") for row in rows):
            raise RuntimeError(f"the graph failed at {rows}")
        return [
            Prediction({"row": row, **chosen.model_dump()}, truncated=False, measured={})
            for row, chosen in zip(rows, options, strict=True)
        ]


class Chosen(BaseModel):
    """What a request may ask for."""

    most: int = 1


@pytest.fixture
def model() -> Iterator[Gated]:
    gated = Gated()
    yield gated
    gated.gate.set()


def serve(use: Callable[[Batcher], Awaitable[None]], workers: int = 1) -> None:
    async def main() -> None:
        batcher = Batcher(workers, Metrics())
        try:
            await use(batcher)
        finally:
            await asyncio.to_thread(batcher.close)

    asyncio.run(main())


def ask(batcher: Batcher, model: Gated, *rows: str, most: int = 1) -> asyncio.Future[list[Prediction]]:
    return batcher.submit(cast(Predictor, model), rows, Chosen(most=most))


async def busy(batcher: Batcher, model: Gated) -> asyncio.Future[list[Prediction]]:
    """Give the only worker something that it cannot end."""
    first = ask(batcher, model, "first")
    assert await asyncio.to_thread(model.began.acquire, timeout=10)
    return first


def test_what_waits_together_runs_together_and_each_gets_its_own(model: Gated) -> None:
    async def use(batcher: Batcher) -> None:
        first = await busy(batcher, model)
        answers = [ask(batcher, model, "a"), ask(batcher, model, "b", "c", most=3), ask(batcher, model, "d")]
        model.gate.set()
        found = await asyncio.gather(first, *answers)
        assert [[one.answer["row"] for one in each] for each in found] == [["first"], ["a"], ["b", "c"], ["d"]]
        assert [each[0].answer["most"] for each in found] == [1, 1, 3, 1]

    serve(use)
    assert model.runs == [["first"], ["a", "b", "c", "d"]]


def test_a_quick_model_runs_on_the_event_loop_and_what_came_together_runs_together(model: Gated) -> None:
    model.is_quick = True
    model.gate.set()

    async def use(batcher: Batcher) -> None:
        asked = [ask(batcher, model, "a"), ask(batcher, model, "given up"), ask(batcher, model, "b", "c")]
        asked[1].cancel()
        assert [one.answer["row"] for one in [*await asked[0], *await asked[2]]] == ["a", "b", "c"]
        await ask(batcher, model, *map(str, range(FEW + 1)))

    serve(use)
    assert model.runs == [["a", "b", "c"], [*map(str, range(FEW + 1))]]
    assert model.threads[0] == threading.get_ident() != model.threads[1]


def test_workers_share_what_waits(model: Gated) -> None:
    async def use(batcher: Batcher) -> None:
        busied = [await busy(batcher, model), await busy(batcher, model)]
        answers = [ask(batcher, model, name) for name in "abcd"]
        model.gate.set()
        await asyncio.gather(*busied, *answers)

    serve(use, workers=2)
    assert sorted(model.runs[2:]) in ([["a", "b"], ["c"], ["d"]], [["a", "b"], ["c", "d"]])


def test_an_idle_server_waits_for_no_company(model: Gated) -> None:
    async def use(batcher: Batcher) -> None:
        await busy(batcher, model)  # it began, and no other request ever came
        model.gate.set()

    serve(use)


def test_what_was_given_up_is_not_run(model: Gated) -> None:
    async def use(batcher: Batcher) -> None:
        first = await busy(batcher, model)
        given_up, kept = ask(batcher, model, "given up"), ask(batcher, model, "kept")
        given_up.cancel()
        model.gate.set()
        await asyncio.gather(first, kept)

    serve(use)
    assert model.runs == [["first"], ["kept"]]


def test_two_models_share_no_run_and_the_oldest_request_goes_first(model: Gated) -> None:
    other = Gated()
    other.gate.set()

    async def use(batcher: Batcher) -> None:
        first = await busy(batcher, model)
        answers = [ask(batcher, other, "b"), ask(batcher, model, "a"), ask(batcher, other, "c")]
        order: list[str] = []
        for answer in answers:
            answer.add_done_callback(lambda done: order.append(done.result()[0].answer["row"]))
        model.gate.set()
        await asyncio.gather(first, *answers)
        assert order == ["b", "c", "a"]

    serve(use)
    assert (model.runs, other.runs) == ([["first"], ["a"]], [["b", "c"]])


def test_a_run_has_a_limit_and_the_rest_runs_next(model: Gated, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "MOST_TOGETHER", 3)

    async def use(batcher: Batcher) -> None:
        first = await busy(batcher, model)
        answers = [ask(batcher, model, name, name) for name in "abc"]
        long = ask(batcher, model, *"defgh")
        model.gate.set()
        await asyncio.gather(first, *answers, long)

    serve(use)
    assert model.runs == [["first"], ["a", "a"], ["b", "b"], ["c", "c"], [*"defgh"]]


def test_past_the_limit_requests_are_refused_and_told_when_to_come_back(
    model: Gated, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batching, "MOST_WAITING", 4)

    async def use(batcher: Batcher) -> None:
        first = await busy(batcher, model)
        long = ask(batcher, model, *"abcdefgh")  # nothing waits, so it may
        with pytest.raises(QueueFull) as refusal:
            ask(batcher, model, "one more")
        assert refusal.value.retry_after >= 1
        with pytest.raises(QueueFull):
            batcher.admit()
        model.gate.set()
        await asyncio.gather(first, long)
        await ask(batcher, model, "now there is room")

    serve(use)
    assert ["one more"] not in model.runs


def test_rows_at_which_the_model_fails_are_named_and_fail_nobody_elses(
    model: Gated, caplog: pytest.LogCaptureFixture
) -> None:
    async def use(batcher: Batcher) -> None:
        first = await busy(batcher, model)
        answers = [
            ask(batcher, model, "a"),
            ask(batcher, model, "broken 1"),
            ask(batcher, model, "b", "broken 2", "c", most=2),
            ask(batcher, model, *"defg"),
        ]
        model.gate.set()
        await first
        found = await asyncio.gather(*answers, return_exceptions=True)
        assert [one.answer["row"] for one in cast(list[Prediction], found[0])] == ["a"]
        assert [one.answer["row"] for one in cast(list[Prediction], found[3])] == [*"defg"]
        alone, among = found[1], found[2]
        assert isinstance(alone, Unanswerable)
        assert alone.predictions == [None]
        assert isinstance(among, Unanswerable)
        assert [one and one.answer for one in among.predictions] == [
            {"row": "b", "most": 2},
            None,
            {"row": "c", "most": 2},
        ]

    serve(use)
    assert len(model.runs) <= 2 + 2 * 2 * 4, "by halves, not one by one"
    assert "broken" not in caplog.text, "what a client sent is in no log"
    assert caplog.text.count("fails on a row: RuntimeError") == 2


@pytest.mark.parametrize("is_quick", [True, False])
def test_a_worker_survives_what_is_no_exception(model: Gated, is_quick: bool) -> None:
    class PanicException(BaseException):
        """As the Rust code of a library raises."""

    class Panicking(Gated):
        def answer_each(self, *_: object) -> list[Prediction]:
            raise PanicException("it gives up")

    async def use(batcher: Batcher) -> None:
        model.gate.set()
        other = Panicking()
        other.is_quick = is_quick
        for _ in range(3):
            with pytest.raises(RuntimeError, match="PanicException: it gives up"):
                await asyncio.wait_for(ask(batcher, other, "a"), 10)
        assert (await asyncio.wait_for(ask(batcher, model, "b"), 10))[0].answer["row"] == "b"

    serve(use)


def test_a_model_that_fails_at_its_own_example_fails_the_run_and_blames_no_row(model: Gated) -> None:
    async def use(batcher: Batcher) -> None:
        model.gate.set()
        model.broken = True
        with pytest.raises(RuntimeError, match="the graph failed"):
            await ask(batcher, model, *"abcdefgh")
        model.broken = False
        assert (await ask(batcher, model, "whole"))[0].answer["row"] == "whole"

    serve(use)
    assert len(model.runs) == 5, "and does not try each"


def test_numpy_starts_no_threads_beside_those_of_a_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen: list[dict[str, Any]] = []
    monkeypatch.setattr(server.DrainingServer, "run", lambda _: seen.extend(threadpool_info()))
    settings = Settings(storage=str(tmp_path))
    with threadpool_limits(2, user_api="blas"):
        server.serve(Application(settings), settings)
    assert {library["num_threads"] for library in seen if library["user_api"] == "blas"} == {1}
