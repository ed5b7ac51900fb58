"""Answers lists of requests from a bundle, in torch or ONNX Runtime, for other serving frameworks."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from boatyard.bundle.manifest import open_bundle
from boatyard.bundle.predict import GRAPH
from boatyard.config.processes import allowed_cores
from boatyard.inputs.protocol import Feeds
from boatyard.inputs.text.serving import EncodedText, TextInput, open_input

Probabilities = npt.NDArray[np.float32]
Request = dict[str, str]
Answer = dict[str, object]


@dataclass(frozen=True)
class Model:
    """A bundle's texts, its network in one engine, and its labels."""

    texts: TextInput
    run: Callable[[Feeds], Probabilities]
    labels: Sequence[str]

    def encode(self, requests: Sequence[Request]) -> list[EncodedText]:
        """Tokens, as they are before they are padded."""
        return self.texts.encode([self.texts.parse(request) for request in requests])

    def answer(self, encoded: Sequence[EncodedText]) -> list[Answer]:
        """In one batch, padded to its longest text."""
        probabilities = self.run(self.texts.collate(encoded))
        return [
            {"label": self.labels[best], "score": float(row[best])}
            for row, best in zip(probabilities, probabilities.argmax(1), strict=True)
        ]


def open_model(engine: str) -> Model:
    """`engine`: torch or onnx."""
    bundle = open_bundle(Path(os.environ["BUNDLE"]))
    run = _torch(bundle.folder) if engine == "torch" else _onnx(bundle.folder)
    return Model(open_input(bundle.folder, bundle.manifest), run, bundle.manifest.target["labels"])


def answerer(engine: str) -> Callable[[Sequence[Request]], list[Answer]]:
    """What answers a batch as it comes, which is padded to its longest text, as both frameworks' examples do."""
    model = open_model(engine)
    return lambda requests: model.answer(model.encode(requests))


def _onnx(folder: Path) -> Callable[[Feeds], Probabilities]:
    options = ort.SessionOptions()
    options.intra_op_num_threads = allowed_cores()
    session = ort.InferenceSession(folder / GRAPH, options, providers=["CPUExecutionProvider"])
    inputs = [node.name for node in session.get_inputs()]

    def run(feeds: Feeds) -> Probabilities:
        probabilities: Probabilities = session.run(["probabilities"], {name: feeds[name] for name in inputs})[0]
        return probabilities

    return run


def _torch(folder: Path) -> Callable[[Feeds], Probabilities]:
    import torch

    from boatyard.model import open_network

    network = open_network(folder)

    def run(feeds: Feeds) -> Probabilities:
        with torch.inference_mode():
            logits = network(**{name: torch.from_numpy(array) for name, array in feeds.items()})["logits"]
            probabilities: Probabilities = logits.softmax(-1).numpy()
        return probabilities

    return run
