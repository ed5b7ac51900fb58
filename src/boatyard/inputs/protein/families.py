"""Which sequences resemble each other: families by single linkage at shared words of five residues.

Two are linked where they share a tenth of the words of the one that has fewer. Up to MOST_EXACT sequences, all pairs
that share a word are looked at. Beyond, only those that share two words of a sample of all words, the same one for
every sequence (MinHash, Broder 1997, in its form for containment); each link is still exact, and a few are missed.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.sparse import csr_array

from boatyard.inputs.components import components
from boatyard.inputs.protein.serving import SEQUENCE
from boatyard.inputs.protein.words import WORDS, different, words_in
from boatyard.inputs.training_protocol import Relatives

CONTAINMENT = 0.1
MOST_EXACT = 20_000

_READ_AT_ONCE = 10_000  # sequences
_COMPARED_AT_ONCE = 100_000  # pairs
_PRODUCTS_AT_ONCE = 4_000_000
_PARTS = 8
_MANY = 500  # members of a family that is compared with all others, but not within
_SAMPLED, _ENOUGH_SAMPLED = 8, 2
_SKETCHED, _SKETCHES = 4, 2  # of the sample

Pairs = tuple[NDArray[np.int64], NDArray[np.int64]]


def relatives(rows: pa.Table) -> Relatives:
    """Families, numbered in the order of their first members."""
    words = words_of(rows.column(SEQUENCE).to_pylist())
    exact = words.shape[0] <= MOST_EXACT
    return Relatives(families(words, exact=exact), exact)


def words_of(sequences: Sequence[str]) -> csr_array:
    """int8[sequences, words], 1 where a sequence has the word; only words of the twenty residues count."""
    parts = [words_in(sequences[at : at + _READ_AT_ONCE]) for at in range(0, len(sequences), _READ_AT_ONCE)]
    sizes = np.concatenate([np.zeros(1, np.int64), *(sizes for sizes, _ in parts)])
    words = np.concatenate([np.zeros(0, np.int32), *(words for _, words in parts)])
    shape = (len(sequences), WORDS)
    return csr_array((np.ones(len(words), np.int8), words, np.cumsum(sizes)), shape=shape)


def families(words: csr_array, *, exact: bool) -> NDArray[np.int64]:
    """Of each sequence, the number of its family."""
    found = np.arange(words.shape[0])
    sample = _sample(words, _SAMPLED)
    for turn in range(1, _SKETCHES + 1):  # joins most of large families, which need not be compared within then
        found = _joined(found, words, _likely(sample, _neighbours(_sample(sample, _SKETCHED, turn))))
    for pairs in _sharing(words, found, 1) if exact else _sharing(sample, found, _ENOUGH_SAMPLED):
        found = _joined(found, words, pairs)
    return found


def _sample(words: csr_array, one_of: int, turn: int = 0) -> csr_array:
    """Words whose hash says so, one of so many; those of each turn are others."""
    mixed = (words.indices.astype(np.uint64) + np.uint64(turn << 32)) * np.uint64(0x9E3779B97F4A7C15)
    kept = (mixed >> np.uint64(40)) % np.uint64(one_of) == 0
    starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(kept)])[words.indptr]
    return csr_array((words.data[kept], words.indices[kept], starts), shape=words.shape)


def _neighbours(sample: csr_array) -> Pairs:
    """Of all sequences with a word, each and the next."""
    columns = sample.tocsc()
    rows = columns.indices.astype(np.int64)
    same = np.diff(np.repeat(np.arange(sample.shape[1]), np.diff(columns.indptr))) == 0
    pairs = different(rows[:-1][same] * sample.shape[0] + rows[1:][same])
    first = pairs // sample.shape[0]
    return first, pairs - first * sample.shape[0]


def _likely(sample: csr_array, pairs: Pairs) -> Pairs:
    """Those that share enough of the sample: most of the others share a word by chance."""
    starts = range(0, len(pairs[0]), _COMPARED_AT_ONCE)
    parts = [tuple(side[at : at + _COMPARED_AT_ONCE] for side in pairs) for at in starts]
    shared = [sample[one].multiply(sample[other]).sum(axis=1) for one, other in parts]
    enough = np.concatenate([np.zeros(0), *shared]) >= _ENOUGH_SAMPLED
    return pairs[0][enough], pairs[1][enough]


def _sharing(sample: csr_array, found: NDArray[np.int64], least: int) -> Iterator[Pairs]:
    """Pairs that share enough words, of two families; each family with many members at once, then all the others."""
    rest = np.ones(len(found), bool)
    members = np.bincount(found)
    for family in np.flatnonzero(members > _MANY):
        inside = found == family
        rest &= ~inside
        yield from _products(sample, np.flatnonzero(inside), np.flatnonzero(rest), least)
    parts = np.array_split(np.flatnonzero(rest), _PARTS)
    for at, part in enumerate(parts):  # with those before it, it was compared already
        yield from _products(sample, part, np.concatenate(parts[at:]), least)


def _products(sample: csr_array, some: NDArray[np.int64], others: NDArray[np.int64], least: int) -> Iterator[Pairs]:
    left, right = sample[some].astype(np.int32), sample[others].astype(np.int32)
    sizes, of_others = np.diff(left.indptr), np.diff(right.indptr)
    right = right.T.tocsr()
    blocks = np.cumsum(left @ np.diff(right.indptr)) // _PRODUCTS_AT_ONCE
    for block in np.split(np.arange(len(some)), np.flatnonzero(np.diff(blocks)) + 1):
        shared = left[block] @ right
        more = np.flatnonzero(shared.data >= least)  # most share a word by chance
        first, second = block[np.searchsorted(shared.indptr, more, side="right") - 1], shared.indices[more]
        enough = shared.data[more] >= CONTAINMENT * np.minimum(sizes[first], of_others[second])
        linked = enough & (some[first] != others[second])
        yield some[first[linked]], others[second[linked]]


def _joined(found: NDArray[np.int64], words: csr_array, pairs: Pairs) -> NDArray[np.int64]:
    """`found`, with the families joined of those pairs that are linked."""
    apart = found[pairs[0]] != found[pairs[1]]
    first, second = pairs[0][apart], pairs[1][apart]
    sizes = np.diff(words.indptr)
    for at in range(0, len(first), _COMPARED_AT_ONCE):
        one, other = first[at : at + _COMPARED_AT_ONCE], second[at : at + _COMPARED_AT_ONCE]
        apart = found[one] != found[other]
        one, other = one[apart], other[apart]
        shared: NDArray[Any] = words[one].multiply(words[other]).sum(axis=1)
        linked = shared >= CONTAINMENT * np.minimum(sizes[one], sizes[other])
        if linked.any():
            found = components(found[one[linked]], found[other[linked]], int(found.max()) + 1)[found]
    return found
