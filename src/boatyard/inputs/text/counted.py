"""What the wide branch counts, as a sparse matrix that a linear model is fitted on, and its weights as tables."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array, diags_array, hstack
from tokenizers import Tokenizer

from boatyard.config.schema import Model
from boatyard.inputs.text import tokenizer
from boatyard.inputs.text.backbone import TextBackbone
from boatyard.inputs.text.settings import text_model
from boatyard.inputs.text.wide import PAIRS, WideBranch, pair_codes

if TYPE_CHECKING:
    from datasets import Dataset

_SPELLINGS = 2**16
_LONGEST_SPELLING = 5
_NEGLIGIBLE = 1e-9
_MOST_SUMS = 32  # of more outputs than these, the weights are the nearest ones of that rank


def open_counted(model: Model, folder: Path, training: Dataset) -> CountedWords | None:
    """By the tokenizer in `folder`; None without `model.text.wide`."""
    if not text_model(model).wide:
        return None
    return CountedWords(Tokenizer.from_file(str(folder / tokenizer.FILE)), _words(training))


class CountedWords:
    """TF-IDF of tokens and what they are spelt like, and of pairs of tokens; `training`: each row's tokens.

    A token's features are itself and the 2 to 5 letters that it shares with others: both parts have the length of its
    inverse document frequency.
    """

    def __init__(self, tokens: Tokenizer, training: Sequence[NDArray[np.int64]]) -> None:
        self._vocabulary = tokens.get_vocab_size()
        spelt = _spelt([tokens.id_to_token(id_) or "" for id_ in range(self._vocabulary)])
        counts = _counted(training, self._vocabulary)
        rarity = diags_array(_rarity(counts))
        self._pieces = hstack([rarity, rarity @ _of_length_1(spelt @ diags_array(_rarity(counts @ spelt)))]).tocsr()
        self._pairs = diags_array(_rarity(_counted(_pairs(training), PAIRS))).tocsr()

    def features(self, rows: Dataset) -> csr_array:
        """float64[rows, features]."""
        words = _words(rows)
        blocks = (_counted(words, self._vocabulary), self._pieces), (_counted(_pairs(words), PAIRS), self._pairs)
        return hstack([_scaled(counts, features) for counts, features in blocks]).tocsr()

    def join(self, backbone: Any, weights: NDArray[np.float64]) -> tuple[dict[str, Any], NDArray[np.float64]]:
        """Give the backbone a branch that has the weights, [features, outputs].

        Returns what its shape has in addition, and how the outputs come of the branch's sums, [sums, outputs].
        """
        assert isinstance(backbone, TextBackbone)
        strength, directions = np.linalg.eigh(weights.T @ weights)  # in ascending order
        basis = directions[:, strength >= _NEGLIGIBLE * strength.max()][:, -_MOST_SUMS:]  # of zeros, all
        of_sums = weights @ basis
        branch = WideBranch(self._vocabulary, basis.shape[1])
        end = self._pieces.shape[1]
        for name, features, part in (("piece", self._pieces, of_sums[:end]), ("pair", self._pairs, of_sums[end:])):
            getattr(branch, f"{name}s").copy_(torch.from_numpy(features @ part))
            getattr(branch, f"{name}_lengths").copy_(torch.from_numpy(_squares(features)))
        backbone.widen(branch)
        return {"wide": {"vocabulary": self._vocabulary, "width": basis.shape[1]}}, basis.T


def _words(rows: Dataset) -> list[NDArray[np.int64]]:
    return [np.asarray(words, np.int64) for words in rows["words"][:]]


def _pairs(rows: Sequence[NDArray[np.int64]]) -> list[NDArray[np.int64]]:
    tensors = map(torch.from_numpy, rows)
    return [pair_codes(words[:-1], words[1:]).numpy() for words in tensors]


def _counted(rows: Sequence[NDArray[np.int64]], codes: int) -> csr_array:
    """[rows, codes]: 1 + log n for what a row has n times."""
    found = [np.unique(row, return_counts=True) for row in rows]
    starts = np.cumsum([0, *(len(each) for each, _ in found)], dtype=np.int32)
    columns = np.concatenate([each for each, _ in found]).astype(np.int32)
    return csr_array((1 + np.log(np.concatenate([times for _, times in found])), columns, starts), (len(rows), codes))


def _rarity(counts: csr_array) -> NDArray[np.float64]:
    """The inverse document frequency of each column, as scikit-learn smooths it."""
    having = np.bincount(counts.indices, minlength=counts.shape[1])
    rarity: NDArray[np.float64] = np.log((1 + counts.shape[0]) / (1 + having)) + 1
    return rarity


def _scaled(counts: csr_array, features: csr_array) -> csr_array:
    """The features of each row; a row of different codes has the length 1."""
    lengths = np.sqrt(np.maximum(counts.power(2) @ _squares(features), 1e-12))
    return diags_array(1 / lengths) @ counts @ features


def _squares(features: csr_array) -> NDArray[np.float64]:
    squares: NDArray[np.float64] = features.power(2).sum(1)
    return squares


def _of_length_1(rows: csr_array) -> csr_array:
    return diags_array(1 / np.sqrt(np.maximum(_squares(rows), 1e-12))) @ rows


def _spelt(tokens: Sequence[str]) -> csr_array:
    """[tokens, spellings]: how often each has the letters that hash to one."""
    found = [Counter(_spellings(token)) for token in tokens]
    starts = np.cumsum([0, *map(len, found)], dtype=np.int32)
    columns = np.fromiter((code for each in found for code in each), np.int32)
    return csr_array(([times for each in found for times in each.values()], columns, starts), (len(found), _SPELLINGS))


def _spellings(token: str) -> Iterator[int]:
    """Of a token that is letters: special ones, in brackets, are spelt like nothing."""
    if token.startswith(("[", "<")):
        return
    letters = token[2:] if token.startswith("##") else f"^{token}"
    for length in range(2, _LONGEST_SPELLING + 1):
        for start in range(len(letters) - length + 1):
            yield zlib.crc32(letters[start : start + length].encode("utf-8", "surrogatepass")) % _SPELLINGS
