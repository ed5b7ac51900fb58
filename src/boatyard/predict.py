"""Answers rows with an opened bundle: encode, run the graph, read off the labels."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from boatyard import kinds
from boatyard.bundle import Bundle, BundleError
from boatyard.kinds.protocol import Encoded, ServedModel

GRAPH = "model.onnx"
OUTPUTS = ("logits", "probabilities", "embedding")

Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class Prediction:
    """The likeliest label, and the `top_k` likeliest with their probabilities, best first."""

    label: str
    score: float
    top: list[tuple[str, float]]
    truncated: bool
    length: int
    """Of the input, in the kind's unit."""

    def cut(self, top_k: int) -> Self:
        """With at most so many labels in `top`."""
        return self if len(self.top) <= top_k else replace(self, top=self.top[:top_k])


@dataclass(frozen=True, slots=True)
class Outputs:
    """The graph's outputs, one row of each array for each input row, in the order of the input."""

    logits: Floats
    probabilities: Floats
    embedding: Floats


class Predictor:
    """An inference session and its kind's encoder. Threads may share it."""

    def __init__(self, bundle: Bundle, threads: int | None = None) -> None:
        self.manifest = bundle.manifest
        self.model: ServedModel[Any, Any] = kinds.serving(self.manifest.kind).open_model(bundle.folder, self.manifest)
        self._session = _open_session(bundle.folder / GRAPH, threads or allowed_cores())
        self._inputs = {node.name for node in self._session.get_inputs()}
        shapes = {node.name: node.shape for node in self._session.get_outputs()}
        if missing := set(OUTPUTS) - shapes.keys():
            raise BundleError(f"{bundle.folder / GRAPH} has no output named {', '.join(sorted(missing))}")
        classes, labels = shapes["probabilities"][-1], len(self.manifest.labels)
        if isinstance(classes, int) and classes != labels:
            raise BundleError(f"{bundle.folder / GRAPH} tells {classes} classes apart, but {labels} labels are named")

    def answer(self, rows: Sequence[Any], top_k: int = 3) -> list[Prediction]:
        """One prediction for each row that `model.parse` made."""
        if not rows:
            return []
        encoded = self.model.encode(rows)
        probabilities = self.run(encoded).probabilities
        return [self._prediction(scores, top_k, row) for scores, row in zip(probabilities, encoded, strict=True)]

    def outputs(self, rows: Sequence[Any], batch_size: int = 32) -> Outputs:
        """What the graph says of each row; there must be one."""
        return self.run(self.model.encode(rows), batch_size)

    def run(self, encoded: Sequence[Encoded], batch_size: int = 32) -> Outputs:
        """The same of rows that `model.encode` has seen."""
        # rows of like length share a batch, so that little of it is padding
        order = sorted(range(len(encoded)), key=lambda index: encoded[index].length)
        batches = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
        ran = [self._run_batch([encoded[index] for index in batch]) for batch in batches]
        back = np.argsort(order)
        logits, probabilities, embedding = (np.concatenate(parts)[back] for parts in zip(*ran, strict=True))
        return Outputs(logits, probabilities, embedding)

    def _run_batch(self, encoded: Sequence[Encoded]) -> list[Floats]:
        feeds = self.model.collate(encoded)
        declared = {name: array for name, array in feeds.items() if name in self._inputs}
        arrays: list[Floats] = self._session.run(OUTPUTS, declared)
        return arrays

    def _prediction(self, scores: Floats, top_k: int, row: Encoded) -> Prediction:
        best = np.argsort(-scores, kind="stable")[:top_k]
        top = [(self.manifest.labels[index], float(scores[index])) for index in best]
        return Prediction(label=top[0][0], score=top[0][1], top=top, truncated=row.truncated, length=row.length)


def allowed_cores() -> int:
    """The cores that this process may use: its affinity and its cgroup's quota, which a container sets."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return max(1, min(cores, int(quota) // int(period)))
    except (OSError, ValueError):  # no cgroup v2 here, or the quota is "max"
        return cores


def _open_session(path: Path, threads: int) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3  # errors
    try:
        return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as wrong:  # its exceptions share no narrower base
        raise BundleError(f"{path} is not a graph that ONNX Runtime {ort.__version__} opens: {wrong}") from wrong
