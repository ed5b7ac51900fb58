"""Answers lists of texts from a bundle, in torch or ONNX Runtime, for other serving frameworks."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
from tokenizers import Tokenizer

from boatyard.bundle.manifest import open_bundle
from boatyard.bundle.predict import GRAPH, allowed_cores

Probabilities = npt.NDArray[np.float32]
Answer = dict[str, object]


def answerer(engine: str) -> Callable[[Sequence[str]], list[Answer]]:
    """`engine`: torch or onnx. A batch is padded to its longest text, as both frameworks' examples do."""
    bundle = open_bundle(Path(os.environ["BUNDLE"]))
    tokenizer = Tokenizer.from_file(str(bundle.folder / "tokenizer.json"))
    tokenizer.enable_padding()
    tokenizer.enable_truncation(bundle.manifest.limits["max_tokens"])
    run = _torch(bundle.folder) if engine == "torch" else _onnx(bundle.folder)

    def answer(texts: Sequence[str]) -> list[Answer]:
        encoded = tokenizer.encode_batch_fast(list(texts))
        feeds = {
            "input_ids": np.array([row.ids for row in encoded]),
            "attention_mask": np.array([row.attention_mask for row in encoded]),
            "token_type_ids": np.array([row.type_ids for row in encoded]),
        }
        probabilities = run(feeds)
        return [
            {"label": bundle.manifest.target["labels"][best], "score": float(row[best])}
            for row, best in zip(probabilities, probabilities.argmax(1), strict=True)
        ]

    return answer


def _onnx(folder: Path) -> Callable[[dict[str, npt.NDArray[np.int64]]], Probabilities]:
    options = ort.SessionOptions()
    options.intra_op_num_threads = allowed_cores()
    session = ort.InferenceSession(folder / GRAPH, options, providers=["CPUExecutionProvider"])
    inputs = [node.name for node in session.get_inputs()]

    def run(feeds: dict[str, npt.NDArray[np.int64]]) -> Probabilities:
        probabilities: Probabilities = session.run(["probabilities"], {name: feeds[name] for name in inputs})[0]
        return probabilities

    return run


def _torch(folder: Path) -> Callable[[dict[str, npt.NDArray[np.int64]]], Probabilities]:
    import torch

    from boatyard.model import open_network

    network = open_network(folder)

    def run(feeds: dict[str, npt.NDArray[np.int64]]) -> Probabilities:
        with torch.inference_mode():
            logits = network(**{name: torch.from_numpy(array) for name, array in feeds.items()})["logits"]
            probabilities: Probabilities = logits.softmax(-1).numpy()
        return probabilities

    return run
