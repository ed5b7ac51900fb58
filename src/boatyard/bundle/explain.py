"""Which parts of a row moved its answer: Shapley values, sampled over orders of the parts.

A path leads from a background row to the row and switches one part after another; a part's effect is the mean, over
the paths, of what its step changes (Castro, Gómez and Tejada 2009). Each second path goes backwards through the order
of the one before (antithetic sampling), which leaves no error where there is one background row and at most two parts
act together. However few the paths, the effects add up to the row's number less the mean of the background rows'.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PATHS = 32
"""An even number. As many background rows at most have a say."""


@dataclass(frozen=True)
class Paths:
    """The variants of a row that lie on its paths, each once, those with few of its parts first; the last is the row.

    `kept`: [variants, parts], which parts are the row's own; `background`: [variants], the number of the background row
    that the others are taken from.
    """

    kept: NDArray[np.bool_]
    background: NDArray[np.int64]
    _orders: NDArray[np.int64]  # [paths, parts]: the part that each step switches
    _steps: NDArray[np.int64]  # [paths, parts + 1]: the variant before each step, and after the last

    def effects(self, numbers: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        """Of each variant's number: the mean of the background rows, and each part's effect, which add up to the row's.

        `numbers`: [variants].
        """
        along = numbers[self._steps]
        changes = np.empty(self._orders.shape)
        np.put_along_axis(changes, self._orders, np.diff(along, axis=1), axis=1)
        return float(along[:, 0].mean()), changes.mean(axis=0)


def paths_to_row(parts: int, backgrounds: int, seed: int) -> Paths:
    """The paths to a row of so many parts, each from the next of the background rows. The same for the same `seed`."""
    forwards = np.random.default_rng(seed).permuted(np.tile(np.arange(parts), (PATHS // 2, 1)), axis=1)
    orders = np.stack([forwards, forwards[:, ::-1]], axis=1).reshape(PATHS, parts)
    ranks = np.argsort(orders, axis=1)
    kept = ranks[:, None, :] < np.arange(parts + 1)[:, None]  # [paths, steps, parts]
    background = np.broadcast_to((np.arange(PATHS) % backgrounds)[:, None], kept.shape[:2])
    background = np.where(kept.all(axis=2), 0, background)  # all of the row's own parts: it has none
    keys = np.concatenate([kept.sum(axis=2)[..., None], background[..., None], np.packbits(kept, axis=2)], axis=2)
    _, first, steps = np.unique(keys.reshape(-1, keys.shape[2]), axis=0, return_index=True, return_inverse=True)
    return Paths(
        kept.reshape(PATHS * (parts + 1), parts)[first],
        background.reshape(-1)[first],
        orders,
        steps.reshape(PATHS, parts + 1),
    )
