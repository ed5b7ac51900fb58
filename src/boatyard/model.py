"""The network: a task's head on an input's backbone, built, saved, opened again and run."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray
from safetensors.torch import load_file, save
from torch import Tensor, nn
from tqdm import tqdm
from transformers import set_seed

from boatyard import inputs, tasks
from boatyard.config.errors import UserError
from boatyard.config.schema import Config
from boatyard.data.encode import Encoded
from boatyard.inputs.training_protocol import TARGET, Learner
from boatyard.tasks.protocol import Outputs, Target

_LEARNT_FROM = ("train", "validation")
_MOST_COUNTED = 50_000  # rows that a linear model is fitted on
_MOST_COST = 65_536  # of a batch that is only read, whose memory grows with it
WEIGHTS, SHAPE = "model.safetensors", "config.json"

_Collate = Callable[[Sequence[Mapping[str, Any]]], dict[str, Tensor]]


class Network(nn.Module):
    """`head(backbone(batch))`, and the loss where the targets are known.

    `shape`: as JSON, its input and its task, and what they build `backbone` and `head` by.

    Where the backbone has members, the head reads each one's features. In training they answer each by itself and learn
    from errors of their own; afterwards their mean is the answer.
    """

    accepts_loss_kwargs = False  # Trainer would infer from **batch that this divides by the number of items itself

    def __init__(self, backbone: nn.Module, head: nn.Module, shape: Mapping[str, Any]) -> None:
        super().__init__()
        self.shape = shape
        self.backbone = backbone
        self.head: Any = head
        self.members: int | None = getattr(backbone, "members", None)
        self.config = getattr(backbone, "config", None)  # Trainer reads it, and its trackers record it

    def forward(self, labels: Tensor | None = None, **batch: Tensor) -> dict[str, Tensor]:
        """The head's raw outputs by name; with `labels`, which is Trainer's word for targets, their `loss` first."""
        raw: dict[str, Tensor] = self.head(_apart(look(self.backbone, self.head)(**batch), self.members))
        if not self.training:
            raw = {name: _mean(tensor, self.members) for name, tensor in raw.items()}
        if labels is None:
            return raw
        return {"loss": self.head.loss(raw, self.targets(labels)), **raw}

    def targets(self, of_rows: Tensor) -> Tensor:
        """One for each raw output: in training every member of a row has an answer."""
        if self.members is None or not self.training:
            return of_rows
        return of_rows.repeat_interleave(self.members, 0)

    def activation_checkpointing_enable(self, **how: Any) -> None:
        """Compute the backbone's activations again in the backward pass instead of keeping them; Trainer calls it.

        Raises:
            UserError: the backbone cannot.
        """
        enable = getattr(self.backbone, "activation_checkpointing_enable", None)
        if enable is None:
            raise UserError("train.activation_checkpointing=true: this input's backbone always keeps its activations")
        enable(**how)


class Served(nn.Module):
    """A network as its graph answers: a batch, by place or by name, to the task's outputs and the embedding.

    `embeds`: whether there is one; `embedded`: how many of the backbone's features it has, where these are not all.
    """

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.backbone = network.backbone
        self.head = network.head
        self.members = network.members
        self.embeds: bool = getattr(network.backbone, "embeds", True)
        self.embedded: int | None = getattr(network.backbone, "embedded", None)
        self.eval()

    def forward(self, *batch: Tensor, **named: Tensor) -> tuple[Tensor, ...]:
        """In the order of the task's OUTPUTS, and then float[batch, width]."""
        seen = _apart(look(self.backbone, self.head)(*batch, **named), self.members)
        features = seen["features"] if isinstance(seen, dict) else seen
        outputs = (*self.head.served(self.head(seen)), *([features[:, : self.embedded]] if self.embeds else []))
        return tuple(_mean(each, self.members) for each in outputs)


def look(backbone: Any, head: Any) -> Callable[..., Any]:
    """What makes of a batch what the head reads: the backbone, or its `places` where the head asks for these.

    Raises:
        UserError: it does, and they are not known.
    """
    if not getattr(head, "asks_where", False):
        whole: Callable[..., Any] = backbone
        return whole
    places: Callable[..., Any] | None = getattr(backbone, "places", None)
    if places is None:
        raise UserError("this task asks where things are, and rows of this input have no places")
    return places


def new_network(config: Config, target: Target, encoded: Encoded) -> Network:
    """An untrained network; the same for the same `train.seed`."""
    set_seed(config.train.seed)
    backbone = inputs.training(config.data.input).backbone_shape(config.model, encoded.folder)
    return _build(_shape(config, target, backbone), config.model.name)


def fit_network(config: Config, target: Target, encoded: Encoded) -> Network | None:
    """One that is fitted at once, with nothing left to train; None where the input's are trained.

    Raises:
        UserError: the task cannot be fitted so, or there is nothing to learn.
    """
    learner = open_learner(config, encoded)
    if learner is None:
        return None
    targets = [np.asarray(encoded.splits[split].with_format("numpy")[TARGET][:]) for split in _LEARNT_FROM]
    estimates = tasks.training(config.data.task).fit_estimates(learner, np.concatenate(targets), target)
    backbone, state = learner.backbone(estimates)
    network = _build(_shape(config, target, backbone), start=None)
    network.backbone.load_state_dict(state)
    network.head.read_estimates()
    return network


def widen_network(config: Config, network: Network, target: Target, encoded: Encoded) -> None:
    """Add what the input counts beside a trained network, if anything, with the say that validation rows give it."""
    task, (training, validation) = tasks.training(config.data.task), (encoded.splits[split] for split in _LEARNT_FROM)
    few = training.select(range(0, len(training), -(-len(training) // _MOST_COUNTED)))
    counted = inputs.training(config.data.input).open_counted(config.model, encoded.folder, few)
    if counted is None:
        return
    linear = task.fit_linear(counted.features(few), np.asarray(few[TARGET][:]), target, config.train.seed)
    if linear is None:
        return
    weights, intercepts = linear
    added, mixing = counted.join(network.backbone, weights)
    network.shape["backbone"].update(added)
    network.shape["head"]["sums"] = len(mixing)
    features = backbone_features(config, network, encoded.folder, validation)
    network.head.widen(mixing, intercepts, features, task.tensor(validation[TARGET][:]))


def open_learner(config: Config, encoded: Encoded) -> Learner | None:
    """What fits the input's backbone; None where it is trained."""
    training, validation = (encoded.splits[split] for split in _LEARNT_FROM)
    return inputs.training(config.data.input).open_learner(config.model, training, validation, config.train.seed)


def _shape(config: Config, target: Target, backbone: Mapping[str, Any]) -> dict[str, Any]:
    head = tasks.training(config.data.task).head_shape(target, config.model)
    return {"input": config.data.input, "task": config.data.task, "backbone": backbone, "head": head}


def _build(shape: Mapping[str, Any], start: str | None) -> Network:
    backbone: Any = inputs.training(shape["input"]).build_backbone(shape["backbone"], start)
    return Network(backbone, tasks.training(shape["task"]).build_head(backbone.width, shape["head"]), shape)


def save_network(network: Network, folder: Path) -> None:
    """Weights and shape, without pickle."""
    weights = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    (folder / WEIGHTS).write_bytes(save(weights))  # `save_file` reports a full disk as an error of its own
    (folder / SHAPE).write_text(json.dumps(network.shape, indent=2), encoding="utf-8")


def open_network(folder: Path) -> Network:
    """What `save_network` wrote, in evaluation mode."""
    network = _build(json.loads((folder / SHAPE).read_text(encoding="utf-8")), start=None)
    network.load_state_dict(load_file(folder / WEIGHTS))
    return network.eval()


def predict(config: Config, network: Network, encoded: Path, rows: Dataset, batch_size: int = 64) -> Outputs:
    """The task's outputs for encoded rows, in their order. `encoded`: the folder with what encoded them."""
    served = Served(network)
    collate = inputs.training(config.data.input).open_encoder(encoded).collate
    outputs: dict[str, NDArray[Any]] = {}
    with torch.inference_mode():
        for places, batch in _batches(network, collate, rows, batch_size, "predicting"):
            for name, tensor in zip(tasks.serving(config.data.task).OUTPUTS, served(**batch), strict=False):
                answers = tensor.float().cpu().numpy()
                outputs.setdefault(name, np.empty((len(rows), *answers.shape[1:]), answers.dtype))[places] = answers
    return outputs


def backbone_features(config: Config, network: Network, encoded: Path, rows: Dataset, batch_size: int = 128) -> Tensor:
    """float32[rows, width], on the CPU: what the head reads of encoded rows, without dropout."""
    backbone: Any = network.backbone.eval()
    collate = inputs.training(config.data.input).open_encoder(encoded).collate
    features = torch.empty(len(rows), backbone.width)
    with torch.no_grad():
        for places, batch in _batches(network, collate, rows, batch_size, "reading features"):
            features[places] = _mean(_apart(backbone(**batch), network.members), network.members).float().cpu()
    return features


def _apart(features: Any, members: int | None) -> Any:
    """[batch, members, width] to [batch * members, width]."""
    return features if members is None else features.flatten(0, 1)


def _mean(tensor: Tensor, members: int | None) -> Tensor:
    """[batch * members, ...] to [batch, ...]."""
    return tensor if members is None else tensor.reshape(-1, members, *tensor.shape[1:]).mean(1)


def _batches(
    network: Network, collate: _Collate, rows: Dataset, batch_size: int, purpose: str
) -> Iterator[tuple[NDArray[np.int64], dict[str, Tensor]]]:
    """Batches of rows of like cost on the network's device, each with its rows' numbers."""
    costs = np.asarray(rows.with_format("numpy")["cost"][:])
    order = np.argsort(costs, kind="stable")
    device = next(network.parameters()).device
    for start in tqdm(range(0, len(order), batch_size), purpose, leave=False, disable=None):
        few = order[start : start + batch_size]
        size = max(1, _MOST_COST // max(1, costs[few[-1]]))
        for places in (few[first : first + size] for first in range(0, len(few), size)):
            batch = collate(rows.select(places).to_list())
            yield places, {name: tensor.to(device) for name, tensor in batch.items()}
