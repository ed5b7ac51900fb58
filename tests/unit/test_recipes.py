"""What a recipe may add to plain fine-tuning: rates by layer, and rows of like cost together."""

import pytest
import torch
from torch import nn

from boatyard.train.layers import decay_by_layer, layer_depths
from boatyard.train.sampling import EpochSampler

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    "names",
    [
        ("encoder.embeddings.word.weight", "encoder.encoder.layer.0.a", "encoder.encoder.layer.1.a", "head.weight"),
        (
            "encoder.embeddings.word.weight",
            "encoder.transformer.layer.0.a",
            "encoder.transformer.layer.1.a",
            "head.bias",
        ),
        ("encoder.embeddings.tok.weight", "encoder.layers.0.mlp.Wi", "encoder.layers.1.mlp.Wi", "encoder.final_norm.w"),
    ],
    ids=["bert", "distilbert", "modernbert"],
)
def test_depth_is_read_from_the_names_of_any_encoder(names: tuple[str, ...]) -> None:
    assert list(layer_depths(names).values()) == [0, 1, 2, 3]


def test_rates_fall_from_the_head_to_the_embeddings_and_groups_keep_their_weight_decay() -> None:
    network = nn.ModuleDict(
        {"embeddings": nn.Embedding(3, 2), "layer": nn.ModuleList([nn.Linear(2, 2)]), "head": nn.Linear(2, 2)}
    )
    weights = [p for p in network.parameters() if p.ndim > 1]
    biases = [p for p in network.parameters() if p.ndim == 1]
    optimizer = torch.optim.AdamW(
        [{"params": weights, "weight_decay": 0.1}, {"params": biases, "weight_decay": 0.0}], lr=1.0
    )
    decay_by_layer(optimizer, network, 0.5)
    rates = {
        name: (group["lr"], group["weight_decay"])
        for group in optimizer.param_groups
        for name, parameter in network.named_parameters()
        if any(parameter is p for p in group["params"])
    }
    assert rates == {
        "embeddings.weight": (0.25, 0.1),
        "layer.0.weight": (0.5, 0.1),
        "layer.0.bias": (0.5, 0.0),
        "head.weight": (1.0, 0.1),
        "head.bias": (1.0, 0.0),
    }


def test_an_epoch_has_one_order_wherever_it_is_taken_up_and_another_than_the_next() -> None:
    lengths = [1 + (7 * i) % 13 for i in range(100)]
    first, again = (EpochSampler(100, seed=1, batch_size=4, costs=lengths) for _ in range(2))
    torch.manual_seed(5)
    order = list(first)
    torch.manual_seed(6)
    assert list(again) == order, "the shared random numbers play no part"
    assert sorted(order) == list(range(100))
    again.epoch = 1
    assert list(again) != order
    spread = [
        max(lengths[i] for i in order[b : b + 4]) - min(lengths[i] for i in order[b : b + 4]) for b in range(0, 96, 4)
    ]
    assert sum(spread) < 24 * 3, "rows of like length share a batch"
