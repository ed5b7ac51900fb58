"""image x regression: a number of each picture, by the pooled network and by the baseline."""

from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image

from boatyard.config.compose import load_config
from boatyard.inputs import training as input_of
from boatyard.inputs.image.serving import ImageInput
from boatyard.model import Network
from boatyard.tasks import training as task_of

pytestmark = [pytest.mark.unit, pytest.mark.slow]

TARGET = {"log": False, "mean": 0.5, "std": 0.3}


def picture(share: float) -> tuple[bytes]:
    """Red from the left on, as far as the share says, on blue."""
    pixels = np.full((32, 64, 3), (20, 40, 160), np.uint8)
    pixels[:, : round(64 * share)] = (220, 30, 30)
    written = BytesIO()
    Image.fromarray(pixels).save(written, "PNG")
    return (written.getvalue(),)


def test_the_share_of_a_colour_is_learnt_by_both() -> None:
    shares = np.random.default_rng(0).uniform(0.05, 0.95, 48)
    rows = [picture(share) for share in shares]
    config = load_config(
        [
            *("data=images", "data.name=x", "data.path=x", "data.task=regression", "data.target=share"),
            "model.image.side=32",
        ]
    )
    input_, task = input_of("image"), task_of("regression")
    baseline = task.fit_baseline(input_.simple_features(config.data), rows[:32], shares[:32], TARGET, 0)
    assert np.abs(baseline.outputs(rows[32:])["value"] - shares[32:]).mean() < 0.05

    torch.manual_seed(0)
    backbone = input_.build_backbone({"side": 32, "width": 4, "flips": "both", "zoom": 1}, None)
    network = Network(backbone, task.build_head(backbone.width, task.head_shape(TARGET, config.model)), {})
    served = ImageInput(32)
    batch = {name: torch.from_numpy(array) for name, array in served.collate(served.encode(rows)).items()}
    targets = task.tensor(shares)
    optimizer = torch.optim.AdamW(network.parameters(), 0.01)
    losses = []
    for _ in range(20):
        loss = network(labels=targets, **batch)["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert np.mean(losses[-5:]) < 0.4 * losses[0]
