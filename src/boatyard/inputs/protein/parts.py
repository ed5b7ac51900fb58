"""Sequences taken apart into stretches, some of which are hidden to explain an answer."""

import numpy as np
from numpy.typing import NDArray

from boatyard.inputs.protocol import Part, Parts

MOST = 32
"""Stretches: those of longer sequences are longer."""
_SHORTEST = 5  # residues, less of which say little
_HIDDEN = "X"


def take_apart(field: str, row: tuple[str, str], read: int) -> Parts[tuple[str, str]]:
    """`read`: how many residues the model reads. A stretch that is left out becomes unknown, so that others stay."""
    sequence, id_ = row
    end = min(len(sequence), read)
    size = max(_SHORTEST, -(-end // MOST))
    starts = range(0, end, size)
    stretches = [Part(sequence[at : min(at + size, end)], field, at, min(at + size, end)) for at in starts]

    def variant(kept: NDArray[np.bool_]) -> tuple[str, str]:
        shown = (part.name if own else _HIDDEN * len(part.name) for part, own in zip(stretches, kept, strict=True))
        return "".join(shown) + sequence[end:], id_

    return Parts(stretches, lambda kept, _: [variant(line) for line in kept])
