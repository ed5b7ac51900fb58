"""The network: built, loaded and asked through its kind."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from datasets import Dataset
from torch import nn
from tqdm import tqdm
from transformers import set_seed

from boatyard.config.schema import Config
from boatyard.data.encode import Encoded
from boatyard.inputs import training


def new_network(config: Config, classes: int, encoded: Encoded) -> Any:
    """An untrained network; the same for the same `train.seed`."""
    set_seed(config.train.seed)
    return training(config.data.kind).build_network(config.model, classes, encoded.folder)


def open_network(config: Config, folder: Path, **how: Any) -> Any:
    """A trained network, in evaluation mode."""
    return training(config.data.kind).load_network(folder, **how)


def predict(
    config: Config, network: nn.Module, inputs: Path, rows: Dataset, batch_size: int = 64
) -> npt.NDArray[np.float32]:
    """Probabilities, float32[rows, classes]; rows of like length share a batch."""
    collate = training(config.data.kind).Inputs(inputs).collate
    order = np.argsort(np.asarray(rows.with_format("numpy")["length"][:]), kind="stable")
    probabilities = np.empty((0, 0), np.float32)
    device = next(network.parameters()).device
    with torch.inference_mode():
        for start in tqdm(range(0, len(order), batch_size), "predicting", leave=False, disable=None):
            chosen = order[start : start + batch_size]
            items = rows.select(chosen).to_list()
            batch = {name: tensor.to(device) for name, tensor in collate(items).items() if name != "labels"}
            scores = network.eval()(**batch)["logits"].float().softmax(-1).cpu().numpy()
            if not start:
                probabilities = np.empty((len(order), scores.shape[1]), np.float32)
            probabilities[chosen] = scores
    return probabilities
