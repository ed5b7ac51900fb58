"""Detectors of the Hub, of tiny random configurations: they learn, are saved, and their graphs answer the same."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
import torch
from transformers import (
    AutoModelForObjectDetection,
    DetrConfig,
    DFineConfig,
    HGNetV2Config,
    PreTrainedConfig,
    ResNetConfig,
    RTDetrConfig,
    RTDetrResNetConfig,
)

from boatyard.config.compose import load_config
from boatyard.config.errors import UserError
from boatyard.inputs.graphs import write_graph
from boatyard.inputs.image.backbone import backbone_shape, build_backbone
from boatyard.model import Network, Served, open_network, save_network
from boatyard.tasks import training as task_of

pytestmark = [pytest.mark.unit, pytest.mark.slow]

SIDE = 64
task = task_of("detection")
TARGETS = task.tensor([[0, 8, 8, 40, 40, 1, 30, 10, 60, 30], [], [1, 0, 0, 20, 20]])
TINY: dict[str, Any] = {"d_model": 32, "decoder_attention_heads": 2, "encoder_attention_heads": 2}
TINY_RT: dict[str, Any] = {
    **TINY,
    "encoder_hidden_dim": 32,
    "encoder_ffn_dim": 32,
    "decoder_ffn_dim": 32,
    "encoder_in_channels": [16, 24, 32],
    "decoder_in_channels": [32, 32, 32],
    "decoder_layers": 2,
    "num_queries": 84,  # all places of the three maps: among equal ones any might be chosen
    "num_denoising": 0,
}


def detr() -> PreTrainedConfig:
    stages = ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", out_features=["stage2"]
    )
    layers = {"encoder_layers": 1, "decoder_layers": 2, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32}
    return DetrConfig(use_timm_backbone=False, backbone_config=stages, num_queries=12, **layers, **TINY)


def rtdetr() -> PreTrainedConfig:
    stages = RTDetrResNetConfig(
        embedding_size=8,
        hidden_sizes=[8, 16, 24, 32],
        depths=[1, 1, 1, 1],
        layer_type="basic",
        out_features=["stage2", "stage3", "stage4"],
    )
    return RTDetrConfig(backbone_config=stages, **TINY_RT)


def dfine() -> PreTrainedConfig:
    stages = HGNetV2Config(
        stem_channels=[3, 8, 8],
        stage_in_channels=[8, 8, 16, 24],
        stage_mid_channels=[8, 8, 8, 8],
        stage_out_channels=[8, 16, 24, 32],
        hidden_sizes=[8, 16, 24, 32],
        stage_num_blocks=[1, 1, 1, 1],
        stage_numb_of_layers=[1, 1, 1, 1],
        out_features=["stage2", "stage3", "stage4"],
    )
    return DFineConfig(backbone_config=stages, **TINY_RT)


def batch(rows: int = 3) -> dict[str, torch.Tensor]:
    random = torch.Generator().manual_seed(3)
    pixels = torch.randint(0, 255, (rows, SIDE, SIDE, 3), generator=random, dtype=torch.uint8)
    return {"pixels": pixels, "extent": torch.tensor([[64, 64], [120, 80], [30, 64]])[:rows]}


@pytest.fixture(params=[detr, rtdetr, dfine], ids=lambda made: made.__name__)
def network(request: pytest.FixtureRequest, tmp_path: Path) -> Network:
    torch.manual_seed(0)
    AutoModelForObjectDetection.from_config(request.param()).save_pretrained(tmp_path / "start")
    name = request.param.__name__
    config = load_config(
        ["data=harbour", f"model={name}", f"model.name={tmp_path / 'start'}", f"model.image.side={SIDE}"]
    )
    shape = backbone_shape(config.model, tmp_path)
    head = task.head_shape({"classes": ["boat", "buoy"]}, config.model)
    backbone: Any = build_backbone(shape, config.model.name)
    whole = {"input": "image", "task": "detection", "backbone": shape, "head": head}
    return Network(backbone, task.build_head(backbone.width, head), whole)


def test_it_learns_a_batch_by_heart_and_its_graph_answers_the_same(network: Network, tmp_path: Path) -> None:
    optimizer = torch.optim.AdamW(network.parameters(), 1e-3)
    losses = []
    for _ in range(24):
        loss = network.train()(labels=TARGETS, **batch())["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert sum(losses[-3:]) < sum(losses[:3])
    (folder := tmp_path / "network").mkdir()
    save_network(network.eval(), folder)
    served = Served(open_network(folder))
    names = ["boxes", "scores", "size", "embedding"]
    with torch.inference_mode():
        expected = dict(zip(names, Served(network)(**batch()), strict=True))
        again = dict(zip(names, served(**batch()), strict=True))
    assert torch.equal(expected["scores"], again["scores"]), "what was saved is what was learnt"
    write_graph(served, batch(), names, tmp_path / "model.onnx")
    session = ort.InferenceSession(tmp_path / "model.onnx")
    for rows in (3, 1):
        feeds = {name: tensor.numpy() for name, tensor in batch(rows).items()}
        answered = dict(zip(names, map(torch.from_numpy, session.run(names, feeds)), strict=True))
        for row in range(rows):
            assert_same(answered, expected, row)


def test_each_layer_learns_where_things_are(network: Network) -> None:
    if network.backbone.config.model_type == "detr":
        pytest.skip("its layers have no boxes but the last one's")
    network.train()(labels=TARGETS, **batch())["loss"].backward()
    of_boxes = [weight for name, weight in network.named_parameters() if "decoder.bbox_embed" in name]
    assert of_boxes
    assert all(weight.grad is not None for weight in of_boxes)


def assert_same(answered: dict[str, torch.Tensor], expected: dict[str, torch.Tensor], row: int) -> None:
    """Each query of one has its like in the other: equal scores come in any order."""
    boxes = (answered["boxes"][row][:, None] - expected["boxes"][row][None]).abs().amax(-1)
    scores = (answered["scores"][row][:, None] - expected["scores"][row][None]).abs().amax(-1)
    assert ((boxes < 0.1) & (scores < 1e-3)).any(1).all()


def test_a_model_that_finds_nothing_is_refused(tmp_path: Path) -> None:
    ResNetConfig().save_pretrained(tmp_path)
    config = load_config(["data=harbour", "model=detr", f"model.name={tmp_path}"])
    with pytest.raises(UserError, match="is a resnet; detectors are detr"):
        backbone_shape(config.model, tmp_path)


def test_what_the_boxes_of_queries_are_is_where_they_lie_in_the_row(network: Network) -> None:
    raw = network.eval()(**batch())
    found = raw["found"].detach().numpy()
    assert np.all(found[1, :, 4:] <= [120, 80])
    assert np.all(np.diff(found[..., 1], axis=1) <= 0), "the most certain first"
