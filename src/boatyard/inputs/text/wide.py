"""The wide branch: what single words and pairs of words say of a whole text, beside what an encoder reads of it.

A linear model on counted n-grams (the wide half of Cheng et al., "Wide & Deep Learning", 2016), fitted once the encoder
is trained. In the graph it is two tables, whose rows are looked up by token and by the hash of two neighbours.
"""

import torch
from torch import Tensor, nn

from boatyard.inputs.text.serving import NO_WORD

PAIRS = 2**15
"""Rows of the table of pairs; those whose hashes are the same share one."""

_PRIMES = 1_000_003, 2**31 - 1


class WideBranch(nn.Module):
    """Token ids of whole texts to `width` sums of weights.

    A token that a text has n times counts 1 + log n times, and each text's counts are scaled to one length, as in
    TF-IDF. `vocabulary`: how many tokens there are.
    """

    pieces: Tensor
    piece_lengths: Tensor
    pairs: Tensor
    pair_lengths: Tensor

    def __init__(self, vocabulary: int, width: int) -> None:
        super().__init__()
        for name, rows in (("piece", vocabulary), ("pair", PAIRS)):
            self.register_buffer(f"{name}s", torch.zeros(rows, width))
            self.register_buffer(f"{name}_lengths", torch.zeros(rows))

    def forward(self, words: Tensor) -> Tensor:
        """int64[batch, words], NO_WORD where there is none, to float32[batch, width]."""
        pairs = pair_codes(words[:, :-1], words[:, 1:])
        sums = _sums(words, self.pieces, self.piece_lengths) + _sums(pairs, self.pairs, self.pair_lengths)
        return sums.float()


def pair_codes(first: Tensor, second: Tensor) -> Tensor:
    """The row of each pair in the table of pairs, NO_WORD where one of the two is."""
    factor, prime = _PRIMES
    codes = (first * factor + second) % prime % PAIRS
    return torch.where((first >= 0) & (second >= 0), codes, torch.full_like(codes, NO_WORD))


def occurrences(codes: Tensor) -> tuple[Tensor, Tensor]:
    """[batch, codes] in ascending order, and of each how often its row has it."""
    ordered, _ = codes.sort(1)
    is_new = ordered[:, 1:] != ordered[:, :-1]
    groups = torch.cat([torch.zeros_like(ordered[:, :1]), is_new.long()], 1).cumsum(1)
    ones = torch.ones_like(ordered, dtype=torch.float32)
    return ordered, torch.zeros_like(ones).scatter_add(1, groups, ones).gather(1, groups)


def _sums(codes: Tensor, table: Tensor, lengths: Tensor) -> Tensor:
    """In double precision, or a row's would change with how far its batch is padded.

    `lengths`: the square of that of each row's features, by which a text's are scaled.
    """
    ordered, times = occurrences(codes)
    counted = (ordered >= 0).double() * (1 + times.log()).double()  # in all, over the places that a code has
    ordered = ordered.clamp(min=0)
    length = (counted.square() / times * lengths[ordered]).sum(1, keepdim=True)
    return ((counted / times).unsqueeze(-1) * table[ordered]).sum(1) / length.clamp(min=1e-12).sqrt()
