"""Explains answers: the variants of a row go through the queue like other inputs, a run at a time.

So an explanation takes turns with what else waits, has one run in memory, and is over when its request is given up.
"""

from collections.abc import Sequence
from typing import Any
from zlib import crc32

import numpy as np

from boatyard.api.answers import Explanation, PartEffect
from boatyard.api.batching import Batcher, Unanswerable
from boatyard.bundle.explain import Paths, paths_to_row
from boatyard.bundle.predict import Explaining, Prediction, Predictor
from boatyard.inputs.protocol import Parts

TOGETHER = 32  # variants in a run
UNEXPLAINABLE = "the model cannot answer this input without some of its parts, so the answer cannot be explained"


async def explain(
    batcher: Batcher, predictor: Predictor, rows: Sequence[Any], predictions: Sequence[Prediction]
) -> list[Explanation]:
    """Of each row's prediction, in order. Raises QueueFull, and Unanswerable where the model fails on a variant."""
    explanations = []
    for index, (row, prediction) in enumerate(zip(rows, predictions, strict=True)):
        parts: Parts[Any] = predictor.input.parts(row)
        paths = paths_to_row(len(parts.names), parts.backgrounds, seed=crc32(repr(row).encode()))
        try:
            numbers = await _numbers(batcher, predictor, parts, paths, Explaining(answer=prediction.answer))
        except Unanswerable:
            raise Unanswerable([*predictions[:index], None, *predictions[index + 1 :]], UNEXPLAINABLE) from None
        base, effects = paths.effects(np.array(numbers))
        named = zip(parts.names, effects.tolist(), strict=True)
        effects_of_parts = [PartEffect(effect=effect, **part._asdict()) for part, effect in named]
        explanations.append(Explanation(base=base, parts=effects_of_parts))
    return explanations


async def _numbers(
    batcher: Batcher, predictor: Predictor, parts: Parts[Any], paths: Paths, asked: Explaining
) -> list[float]:
    numbers: list[float] = []
    for start in range(0, len(paths.kept), TOGETHER):
        run = slice(start, start + TOGETHER)
        variants = parts.variants(paths.kept[run], paths.background[run])
        numbers += [one.answer["number"] for one in await batcher.submit(predictor, variants, asked)]
    return numbers
