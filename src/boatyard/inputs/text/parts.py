"""Texts taken apart into words, some of which are left out to explain an answer."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from boatyard.inputs.protocol import Part, Parts
from boatyard.inputs.texts import places_of_words

MOST = 32
"""Parts: the words of longer texts are taken in groups of neighbours."""


def take_apart(fields: Sequence[str], row: Sequence[str], read: Sequence[str]) -> Parts[tuple[str, ...]]:
    """`read`: of each text of the row its beginning, as far as the model reads it."""
    words = [places_of_words(text) for text in read]
    size = max(1, -(-sum(map(len, words)) // (MOST - len(fields) + 1)))  # each field may end in a smaller group
    groups = [[of[at : at + size] for at in range(0, len(of), size)] for of in words]
    ends = [[(group[0][0], group[-1][1]) for group in of] for of in groups]
    names = [
        Part(text[start:end], field, start, end)
        for field, text, of in zip(fields, read, ends, strict=True)
        for start, end in of
    ]
    pieces = [_pieces(text, [start for start, _ in of]) for text, of in zip(read, ends, strict=True)]

    def variant(kept: NDArray[np.bool_]) -> tuple[str, ...]:
        if kept.all():
            return tuple(row)
        own = iter(kept.tolist())
        return tuple("".join(piece for piece in of if next(own)) for of in pieces)

    return Parts(names, lambda kept, _: [variant(line) for line in kept])


def _pieces(text: str, starts: Sequence[int]) -> list[str]:
    """One for each part, with the space after it."""
    return [text[start:end] for start, end in pairwise([0, *starts[1:], len(text)])] if starts else []
