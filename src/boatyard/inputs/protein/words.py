"""Words of five residues: what sequences have in common, and which of them the training sequences have."""

from collections.abc import Iterable, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from boatyard.inputs.protein.sequences import OTHER, numbers

WORD = 5
_LETTERS = OTHER - 1
WORDS = _LETTERS**WORD

Known = NDArray[np.uint8]
"""A bit for each word, uint8[WORDS / 8]."""

_READ_AT_ONCE = 10_000  # sequences


def words_in(sequences: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """How many different words each has, and these, one sequence after another; those of the twenty residues count."""
    letters = numbers("".join(sequences)).astype(np.int64) - 1
    lengths = np.fromiter(map(len, sequences), np.int64, len(sequences))
    owner = np.repeat(np.arange(len(sequences)), lengths)
    most = max(len(letters) - WORD + 1, 0)
    number, whole = np.zeros(most, np.int64), owner[:most] == owner[WORD - 1 :]
    for place in range(WORD):
        letter = letters[place : place + most]
        number = number * _LETTERS + letter
        whole &= letter < _LETTERS
    owned = different(owner[:most][whole] * WORDS + number[whole])
    owners = owned // WORDS
    return np.bincount(owners, minlength=len(sequences)), (owned - owners * WORDS).astype(np.int32)


def different(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Each once, in order: `numpy.unique`, which takes five times as long."""
    values.sort()
    first = np.ones(len(values), bool)
    first[1:] = values[1:] > values[:-1]
    once: NDArray[np.int64] = values[first]
    return once


def known_words(sequences: Iterable[str]) -> Known:
    """Those that some sequence has."""
    known = np.zeros(WORDS, bool)
    left = iter(sequences)
    while some := list(islice(left, _READ_AT_ONCE)):
        known[words_in(some)[1]] = True
    return np.packbits(known)


def known_shares(sequences: Sequence[str], known: Known) -> NDArray[np.float64]:
    """Of each sequence, the share of its words that are known; 0 where it has none."""
    sizes, words = words_in(sequences)
    bits = known[words >> 3] >> (7 - (words & 7)).astype(np.uint8) & 1
    return np.bincount(np.repeat(np.arange(len(sizes)), sizes), bits, len(sizes)) / np.maximum(sizes, 1)
