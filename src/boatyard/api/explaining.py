"""Explains answers: the variants of a row go through the queue like other inputs, a run at a time.

An explanation costs hundreds of answers, so explanations have a line of their own: few of them are in the queue at a
time, and the others wait for their turn. However many clients ask for explanations, plain requests wait for few runs.
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from zlib import crc32

import numpy as np
from pydantic import BaseModel

from boatyard.api.answers import Explanation, PartEffect
from boatyard.api.batching import Batcher, Unanswerable
from boatyard.bundle.explain import PATHS, paths_to_row
from boatyard.bundle.predict import Explaining, Prediction, Predictor
from boatyard.inputs.protocol import Parts

TOGETHER = 32  # variants in a run
MOST_WAITING = 8192  # variants, of all explanations that are not finished
UNEXPLAINABLE = "the model cannot answer this input without some of its parts, so the answer cannot be explained"


class Explainer:
    """`turns`: how many explanations are in the batcher's queue at a time, such as one for each of its workers."""

    def __init__(self, batcher: Batcher, turns: int) -> None:
        self._batcher = batcher
        self._turns = asyncio.Semaphore(turns)  # first come, first served
        self._variants = 0

    async def explained(
        self, predictor: Predictor, rows: Sequence[Any], options: BaseModel
    ) -> tuple[list[Prediction], list[Explanation]]:
        """A prediction for each row, in order, and its explanation.

        Raises QueueFull before it begins, and Unanswerable, also where the model fails on a variant.
        """
        parts = [predictor.input.parts(row) for row in rows]
        with self._counted(sum(PATHS * len(each.names) for each in parts)):
            predictions = await self._batcher.submit(predictor, rows, options)
            explanations: list[Explanation] = []
            for row, own, prediction in zip(rows, parts, predictions, strict=True):
                try:
                    async with self._turns:
                        explanations.append(await self._explain(predictor, row, own, prediction))
                except Unanswerable:
                    index = len(explanations)
                    raise Unanswerable([*predictions[:index], None, *predictions[index + 1 :]], UNEXPLAINABLE) from None
        return predictions, explanations

    @contextmanager
    def _counted(self, variants: int) -> Iterator[None]:
        if self._variants and self._variants + variants > MOST_WAITING:
            raise self._batcher.full(self._variants)
        self._variants += variants
        try:
            yield
        finally:
            self._variants -= variants

    async def _explain(self, predictor: Predictor, row: Any, parts: Parts[Any], prediction: Prediction) -> Explanation:
        paths = paths_to_row(len(parts.names), parts.backgrounds, seed=crc32(repr(row).encode()))
        asked = Explaining(answer=prediction.answer)
        numbers: list[float] = []
        for start in range(0, len(paths.kept), TOGETHER):
            run = slice(start, start + TOGETHER)
            variants = parts.variants(paths.kept[run], paths.background[run])
            numbers += [one.answer["number"] for one in await self._batcher.submit(predictor, variants, asked)]
        base, effects = paths.effects(np.array(numbers))
        named = zip(parts.names, effects.tolist(), strict=True)
        return Explanation(base=base, parts=[PartEffect(effect=effect, **part._asdict()) for part, effect in named])
