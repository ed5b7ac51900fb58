"""Which rows an epoch shows, and in which order: the seed and the epoch alone decide."""

from collections.abc import Iterator, Sequence

import torch
from torch.utils.data import Sampler
from transformers.trainer_pt_utils import get_length_grouped_indices


class EpochSampler(Sampler[int]):
    """Every row once, shuffled; with `lengths` rows of like length come together.

    Unlike transformers' own, it draws from no shared generator: an epoch that is taken up in its middle has the same
    order, and so do all processes of a run.
    """

    def __init__(self, rows: int, seed: int, batch_size: int, lengths: Sequence[int] | None) -> None:
        self.epoch = 0
        self._rows = rows
        self._seed = seed
        self._batch_size = batch_size
        self._lengths = lengths

    def __len__(self) -> int:
        return self._rows

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self._seed * 1_000_003 + self.epoch)
        if self._lengths is None:
            return iter(torch.randperm(self._rows, generator=generator).tolist())
        order = get_length_grouped_indices(self._lengths, self._batch_size, generator=generator)  # type: ignore[no-untyped-call]
        return iter(order)
