"""The order of an epoch's rows, which follows from the seed and the epoch alone."""

from collections.abc import Iterator, Sequence

import torch
from torch.utils.data import Sampler
from transformers.trainer_pt_utils import get_length_grouped_indices


class EpochSampler(Sampler[int]):
    """Every row once, shuffled; with `costs`, rows of like cost come together.

    Unlike transformers' own, it draws from no shared generator: an epoch resumed in its middle keeps its order, and
    all processes of a run have the same.
    """

    def __init__(self, rows: int, seed: int, batch_size: int, costs: Sequence[int] | None) -> None:
        self.epoch = 0
        self._rows = rows
        self._seed = seed
        self._batch_size = batch_size
        self._costs = costs

    def __len__(self) -> int:
        return self._rows

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self._seed * 1_000_003 + self.epoch)
        if self._costs is None:
            return iter(torch.randperm(self._rows, generator=generator).tolist())
        order = get_length_grouped_indices(self._costs, self._batch_size, generator=generator)  # type: ignore[no-untyped-call]
        return iter(order)
