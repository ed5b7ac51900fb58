"""Layer-wise learning rates: what is nearest to the input, and most general, changes least (Howard and Ruder 2018)."""

from collections.abc import Iterable

import torch
from torch import nn


def decay_by_layer(optimizer: torch.optim.Optimizer, network: nn.Module, decay: float) -> None:
    """Split the optimiser's groups by layer and scale each one's learning rate by `decay` for every layer above it."""
    depths = layer_depths(name for name, _ in network.named_parameters())
    of = {id(parameter): depths[name] for name, parameter in network.named_parameters()}
    top = max(depths.values())
    groups = []
    for group in optimizer.param_groups:
        for depth in sorted({of[id(parameter)] for parameter in group["params"]}):
            chosen = [parameter for parameter in group["params"] if of[id(parameter)] == depth]
            groups.append({**group, "params": chosen, "lr": group["lr"] * decay ** (top - depth)})
    optimizer.param_groups[:] = groups


def layer_depths(names: Iterable[str]) -> dict[str, int]:
    """How far each parameter lies above the input: 0 for embeddings, then the layers by their numbers, then the head.

    The first number in a parameter's name is its layer's, whatever the architecture calls it; what has none lies below
    all layers if it comes before them, and else above.
    """
    depths: dict[str, int] = {}
    above: list[str] = []
    for name in names:
        number = next((int(part) for part in name.split(".") if part.isdecimal()), None)
        if number is not None:
            depths[name] = number + 1
        elif depths and max(depths.values()) > 0:
            above.append(name)
        else:
            depths[name] = 0
    top = max(depths.values(), default=0) + 1
    return depths | dict.fromkeys(above, top)
