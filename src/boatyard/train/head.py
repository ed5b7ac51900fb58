"""A head that starts where the classes already lie instead of anywhere."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import numpy as np
import torch
from datasets import Dataset
from torch import Tensor, nn

_BATCH = 128
_SPREAD = 8.0  # how far apart logits start: the softmax is decided where a row is at its class and open between two


@torch.no_grad()
def start_at_centroids(
    network: nn.Module, rows: Dataset, collate: Callable[[Sequence[Mapping[str, Any]]], dict[str, Tensor]]
) -> None:
    """Set `network.head` to the nearest-centroid classifier over `network.embed` of the training rows.

    A pretrained encoder then needs not be bent to a random head in its first steps, which costs it some of what it
    knows. Prototypes as in Snell et al. 2017, directions only.
    """
    network.eval()
    head, embed = network.get_submodule("head"), cast(Callable[..., Tensor], network.embed)
    assert isinstance(head, nn.Linear)
    lengths = np.asarray(rows.with_format("numpy")["length"][:])
    order = np.argsort(lengths, kind="stable")
    vectors = torch.empty(len(rows), head.in_features)
    labels = torch.empty(len(rows), dtype=torch.long)
    for start in range(0, len(rows), _BATCH):
        places = order[start : start + _BATCH]
        batch = {name: tensor.to(head.weight.device) for name, tensor in collate(rows.select(places).to_list()).items()}
        labels[places] = batch.pop("labels").cpu()
        vectors[places] = embed(**batch).float().cpu()
    middle = vectors.mean(0)
    sums = torch.zeros(head.out_features, head.in_features).index_add_(0, labels, vectors - middle)
    spread = _SPREAD / (vectors - middle).norm(dim=1).mean()
    directions = nn.functional.normalize(sums, dim=1) * spread
    head.weight.copy_(directions)
    head.bias.copy_(-directions @ middle)
