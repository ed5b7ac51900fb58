"""Explanations take turns with what else waits, and end with their request."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from types import SimpleNamespace
from typing import cast

import pytest
from pydantic import BaseModel

from boatyard.api import batching, explaining
from boatyard.api.answers import Explanation
from boatyard.api.batching import Batcher, QueueFull, Unanswerable
from boatyard.api.explaining import TOGETHER, Explainer
from boatyard.api.metrics import Metrics
from boatyard.bundle.explain import PATHS
from boatyard.bundle.predict import Explaining, Prediction, Predictor
from boatyard.inputs.protocol import Part, Parts
from boatyard.tasks.protocol import NoOptions

pytestmark = pytest.mark.unit

Row = tuple[int, ...]


class Sums:
    """Adds up a row, whose numbers are its parts, a run for each pass; of a background row they are 0 or 1."""

    manifest = SimpleNamespace(version="1")

    is_quick = False

    def __init__(self) -> None:
        self.passes = threading.Semaphore(0)
        self.began = threading.Semaphore(0)
        self.runs: list[int] = []
        self.input = self

    def open(self) -> None:
        self.passes.release(10_000)

    def works(self) -> bool:
        return True

    def parts(self, row: Row) -> Parts[Row]:
        names = [Part(f"number {index}", str(index)) for index in range(len(row))]
        return Parts(
            names,
            lambda kept, background: [
                tuple(own if keep else int(at) for own, keep in zip(row, line, strict=True))
                for line, at in zip(kept, background, strict=True)
            ],
            backgrounds=2,
        )

    def answer_each(self, rows: Sequence[Row], options: Sequence[BaseModel]) -> list[Prediction]:
        self.runs.append(len(rows))
        self.began.release()
        if not self.passes.acquire(timeout=10):
            self.open()
        if any(sum(row) < 0 for row in rows):
            raise RuntimeError("there is no such sum")
        return [
            Prediction({"number" if isinstance(asked, Explaining) else "sum": sum(row)}, False, {})
            for row, asked in zip(rows, options, strict=True)
        ]


@pytest.fixture
def model() -> Iterator[Sums]:
    made = Sums()
    yield made
    made.open()


def serve(use: Callable[[Batcher], Awaitable[None]]) -> None:
    async def main() -> None:
        batcher = Batcher(1, Metrics())
        try:
            await use(batcher)
        finally:
            await asyncio.to_thread(batcher.close)

    asyncio.run(main())


def ask(explainer: Explainer, model: Sums, *rows: Row) -> asyncio.Future[list[Explanation]]:
    async def explanations() -> list[Explanation]:
        return (await explainer.explained(cast(Predictor, model), rows, NoOptions()))[1]

    return asyncio.ensure_future(explanations())


async def begun(model: Sums) -> None:
    assert await asyncio.to_thread(model.began.acquire, timeout=10)


def test_each_row_gets_its_own_effects_against_the_background_rows(model: Sums) -> None:
    async def use(batcher: Batcher) -> None:
        model.open()
        first, second = await ask(Explainer(batcher, 1), model, (1, 2, 5), (7,))
        assert (first.base, [part.effect for part in first.parts]) == (1.5, [0.5, 1.5, 4.5])
        assert [(part.name, part.field) for part in second.parts] == [("number 0", "0")]
        assert (second.base, second.parts[0].effect) == (0.5, 6.5)

    serve(use)


def test_a_plain_request_waits_for_one_run_however_many_want_explanations(model: Sums) -> None:
    async def use(batcher: Batcher) -> None:
        explainer = Explainer(batcher, 1)
        explanations = [ask(explainer, model, tuple(range(20))) for _ in range(10)]
        for _ in range(2):  # the answers themselves
            await begun(model)
            model.passes.release()
        await begun(model)
        plain = batcher.submit(cast(Predictor, model), [(1,)], NoOptions())
        model.passes.release()
        await begun(model)
        assert model.runs[3] in (1, 1 + TOGETHER), "alone, or with the next run of the explanation whose turn it is"
        model.open()
        await asyncio.gather(plain, *explanations)

    serve(use)
    assert max(model.runs) <= TOGETHER + 10


def test_explanations_are_finished_in_the_order_in_which_they_came(model: Sums) -> None:
    async def use(batcher: Batcher) -> None:
        model.open()
        explainer = Explainer(batcher, 1)
        finished: list[int] = []

        def order(number: int, _: object) -> None:
            finished.append(number)

        explanations = [ask(explainer, model, tuple(range(10))) for _ in range(4)]
        for number, explanation in enumerate(explanations):
            explanation.add_done_callback(partial(order, number))
        await asyncio.gather(*explanations)
        assert finished == [0, 1, 2, 3]

    serve(use)


def test_a_request_that_is_given_up_is_explained_no_further(model: Sums) -> None:
    async def use(batcher: Batcher) -> None:
        explainer = Explainer(batcher, 1)
        explanation = ask(explainer, model, tuple(range(20)))
        await begun(model)
        model.passes.release()
        await begun(model)
        explanation.cancel()
        model.open()
        with pytest.raises(asyncio.CancelledError):
            await explanation
        await ask(explainer, model, (1,))  # it is the next one's turn

    serve(use)
    assert model.runs == [1, TOGETHER, 1, 3]


def test_more_variants_than_may_wait_are_refused_before_anything_runs(
    model: Sums, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(explaining, "MOST_WAITING", 30 * PATHS)

    async def use(batcher: Batcher) -> None:
        explainer = Explainer(batcher, 1)
        first = ask(explainer, model, *[tuple(range(20))] * 10)
        await begun(model)
        with pytest.raises(QueueFull):
            await ask(explainer, model, (1,))
        assert model.runs == [10]
        plain = batcher.submit(cast(Predictor, model), [(1,)], NoOptions())
        model.open()
        await asyncio.gather(first, plain)
        await ask(explainer, model, (1,))  # now there is room

    serve(use)


def test_a_full_queue_refuses_the_rest_of_an_explanation_too(model: Sums, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "MOST_WAITING", 2)
    monkeypatch.setattr(batching, "MOST_TOGETHER", 1)

    async def use(batcher: Batcher) -> None:
        explanation = ask(Explainer(batcher, 1), model, tuple(range(20)))
        await begun(model)
        plain = [batcher.submit(cast(Predictor, model), [(1,)], NoOptions()) for _ in range(2)]
        model.passes.release()
        with pytest.raises(QueueFull):
            await explanation
        model.open()
        await asyncio.gather(*plain)

    serve(use)


def test_a_row_of_which_a_variant_cannot_be_answered_is_named(model: Sums) -> None:
    async def use(batcher: Batcher) -> None:
        model.open()
        with pytest.raises(Unanswerable, match="without some of its parts") as failed:
            await ask(Explainer(batcher, 1), model, (1,), (5, -3), (1,))
        first, failing, last = failed.value.predictions
        assert (first and first.answer, failing, last and last.answer) == ({"sum": 1}, None, {"sum": 1})

    serve(use)
