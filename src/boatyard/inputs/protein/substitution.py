"""How often residues take each other's place in related proteins: BLOSUM62 (Henikoff and Henikoff 1992)."""

import numpy as np
from numpy.typing import NDArray

from boatyard.inputs.protein.sequences import RESIDUES

# half-bits: twice the binary logarithm of how much more often two residues are aligned than by chance; in the order of
# RESIDUES, and symmetric
_BLOSUM62 = """
    4
    0 9
    -2 -3 6
    -1 -4 2 5
    -2 -2 -3 -3 6
    0 -3 -1 -2 -3 6
    -2 -3 -1 0 -1 -2 8
    -1 -1 -3 -3 0 -4 -3 4
    -1 -3 -1 1 -3 -2 -1 -3 5
    -1 -1 -4 -3 0 -4 -3 2 -2 4
    -1 -1 -3 -2 0 -3 -2 1 -1 2 5
    -2 -3 1 0 -3 0 1 -3 0 -3 -2 6
    -1 -3 -1 -1 -4 -2 -2 -3 -1 -3 -2 -2 7
    -1 -3 0 2 -3 -2 0 -3 1 -2 0 0 -1 5
    -1 -3 -2 0 -3 -2 0 -3 2 -2 -1 0 -2 1 5
    1 -1 0 0 -2 0 -1 -2 0 -2 -1 1 -1 0 -1 4
    0 -1 -1 -1 -2 -2 -2 -1 -1 -1 -1 0 -1 -1 -1 1 5
    0 -1 -3 -2 -1 -3 -3 3 -2 1 1 -3 -2 -2 -3 -2 0 4
    -3 -2 -4 -3 1 -2 -2 -3 -3 -2 -1 -4 -4 -2 -3 -3 -2 -3 11
    -2 -2 -3 -2 3 -3 2 -1 -2 -1 -1 -2 -3 -1 -2 -2 -2 -1 2 7
"""
# of residues in proteins (Robinson and Robinson 1991)
_FREQUENCIES = """
    0.07805 0.01925 0.05364 0.06295 0.03856 0.07377 0.02199 0.05142 0.05744 0.09019
    0.02243 0.04487 0.05203 0.04264 0.05129 0.07120 0.05841 0.06441 0.01330 0.03216
"""


def substitutes(residues: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """Of each of these, which are of the twenty, another one."""
    places = residues.astype(np.int64) - 1
    found = np.searchsorted(_SUMMED, places + _draws(len(places), random), side="right")
    return (found - places * len(RESIDUES) + 1).astype(np.uint8)


def by_chance(length: int, random: np.random.Generator) -> NDArray[np.uint8]:
    """So many residues, each as often as proteins have it."""
    return (1 + np.searchsorted(_SUMMED_FREQUENCIES, _draws(length, random), side="right")).astype(np.uint8)


def _draws(count: int, random: np.random.Generator) -> NDArray[np.float32]:
    """From 0 up to less than 1, in steps so large that a sum with a residue's number stays as exact."""
    return random.random(count, np.float32)


def _chances() -> NDArray[np.float64]:
    scores = np.zeros((len(RESIDUES), len(RESIDUES)))
    scores[np.tril_indices(len(RESIDUES))] = np.array(_BLOSUM62.split(), float)
    scores += np.tril(scores, -1).T
    often = FREQUENCIES * 2 ** (scores / 2)
    np.fill_diagonal(often, 0)
    chances: NDArray[np.float64] = often / often.sum(axis=1, keepdims=True)
    return chances


def _summed(chances: NDArray[np.float64]) -> NDArray[np.float64]:
    """Along each row, which ends at 1 whatever was rounded."""
    summed: NDArray[np.float64] = chances.cumsum(axis=-1)
    summed[..., -1] = 1
    return summed


FREQUENCIES = np.array(_FREQUENCIES.split(), float)
FREQUENCIES /= FREQUENCIES.sum()
CHANCES = _chances()
"""[20, 20]: by residue, how often each of the others takes its place, which sums up to 1."""
_SUMMED_FREQUENCIES = _summed(FREQUENCIES)
_SUMMED = (np.arange(len(RESIDUES))[:, None] + _summed(CHANCES)).ravel()
