"""Explanations take turns with what else waits, and end with their request."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import cast

import pytest
from pydantic import BaseModel

from boatyard.api import batching
from boatyard.api.answers import Explanation
from boatyard.api.batching import Batcher, QueueFull, Unanswerable
from boatyard.api.explaining import TOGETHER, explain
from boatyard.api.metrics import Metrics
from boatyard.bundle.predict import Explaining, Prediction, Predictor
from boatyard.inputs.protocol import Part, Parts
from boatyard.tasks.protocol import NoOptions

pytestmark = pytest.mark.unit

Row = tuple[int, ...]
PLAIN = Prediction({"sum": 0}, truncated=False, measured={})


class Sums:
    """Adds up a row, whose numbers are its parts, once the gate is open; of a background row they are 0 or 1."""

    manifest = SimpleNamespace(version="1")

    is_quick = False

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.began = threading.Semaphore(0)
        self.runs: list[int] = []
        self.input = self

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
        assert self.gate.wait(10)
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
    made.gate.set()


def serve(use: Callable[[Batcher], Awaitable[None]]) -> None:
    async def main() -> None:
        batcher = Batcher(1, Metrics())
        try:
            await use(batcher)
        finally:
            await asyncio.to_thread(batcher.close)

    asyncio.run(main())


def explaining(batcher: Batcher, model: Sums, *rows: Row) -> asyncio.Future[list[Explanation]]:
    return asyncio.ensure_future(explain(batcher, cast(Predictor, model), rows, [PLAIN] * len(rows)))


async def begun(model: Sums) -> None:
    assert await asyncio.to_thread(model.began.acquire, timeout=10)


def test_each_row_gets_its_own_effects_against_the_background_rows(model: Sums) -> None:
    async def use(batcher: Batcher) -> None:
        model.gate.set()
        first, second = await explaining(batcher, model, (1, 2, 5), (7,))
        assert (first.base, [part.effect for part in first.parts]) == (1.5, [0.5, 1.5, 4.5])
        assert [(part.name, part.field) for part in second.parts] == [("number 0", "0")]
        assert (second.base, second.parts[0].effect) == (0.5, 6.5)

    serve(use)


def test_what_comes_in_meanwhile_is_answered_before_the_rest_of_an_explanation(model: Sums) -> None:
    async def use(batcher: Batcher) -> None:
        explanation = explaining(batcher, model, tuple(range(20)))
        await begun(model)
        plain = batcher.submit(cast(Predictor, model), [(1,), (2,)], NoOptions())
        model.gate.set()
        await asyncio.gather(explanation, plain)

    serve(use)
    assert model.runs[0] == TOGETHER
    assert model.runs[1] in (2, 2 + TOGETHER), "alone, or with the explanation's next run where that came in first"
    assert max(model.runs[2:]) == TOGETHER


def test_a_request_that_is_given_up_is_explained_no_further(model: Sums) -> None:
    async def use(batcher: Batcher) -> None:
        explanation = explaining(batcher, model, tuple(range(20)))
        await begun(model)
        explanation.cancel()
        model.gate.set()
        with pytest.raises(asyncio.CancelledError):
            await explanation
        await batcher.submit(cast(Predictor, model), [(1,)], NoOptions())

    serve(use)
    assert model.runs == [TOGETHER, 1]


def test_a_full_queue_refuses_the_rest_of_an_explanation_too(model: Sums, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "MOST_WAITING", TOGETHER)

    async def use(batcher: Batcher) -> None:
        plain = [batcher.submit(cast(Predictor, model), [(1,)], NoOptions())]
        await begun(model)
        plain.append(batcher.submit(cast(Predictor, model), [(1,)], NoOptions()))
        with pytest.raises(QueueFull):
            await explaining(batcher, model, tuple(range(20)))
        model.gate.set()
        await asyncio.gather(*plain)

    serve(use)


def test_a_row_of_which_a_variant_cannot_be_answered_is_named(model: Sums) -> None:
    async def use(batcher: Batcher) -> None:
        model.gate.set()
        with pytest.raises(Unanswerable, match="without some of its parts") as failed:
            await explaining(batcher, model, (1,), (5, -3), (1,))
        assert failed.value.predictions == [PLAIN, None, PLAIN]

    serve(use)
