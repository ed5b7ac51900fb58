"""Answers rows with an opened bundle: encode, run the graph, read off the labels."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from boatyard import inputs
from boatyard.bundle.manifest import Bundle, BundleError, Manifest
from boatyard.inputs.protocol import Encoded, ServedModel

GRAPH = "model.onnx"
OUTPUTS = ("logits", "probabilities", "embedding")
RUN_COST = 4
"""What starting a run costs, in units of a row's length; reports/benchmarks/serving.md has how it was found."""

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


def served_files(manifest: Manifest) -> list[str]:
    """What a Predictor reads of the bundle; the rest is for people, and for who trains on."""
    return [GRAPH, *inputs.serving(manifest.kind).FILES]


class Predictor:
    """An inference session and its kind's encoder. Threads may share it.

    Once made, it no longer needs the bundle's folder.
    `threads`: of one run, by default as many as there are cores; runs side by side, of one each, get more done.
    """

    def __init__(self, bundle: Bundle, threads: int | None = None) -> None:
        self.manifest = bundle.manifest
        self.model: ServedModel[Any, Any] = inputs.serving(self.manifest.kind).open_model(bundle.folder, self.manifest)
        self._session = _open_session(bundle.folder / GRAPH, threads or allowed_cores())
        self._inputs = {node.name for node in self._session.get_inputs()}
        shapes = {node.name: node.shape for node in self._session.get_outputs()}
        if missing := set(OUTPUTS) - shapes.keys():
            raise BundleError(f"{bundle.folder / GRAPH} has no output named {', '.join(sorted(missing))}")
        classes, labels = shapes["probabilities"][-1], len(self.manifest.labels)
        if isinstance(classes, int) and classes != labels:
            raise BundleError(f"{bundle.folder / GRAPH} tells {classes} classes apart, but {labels} labels are named")

    def answer(self, rows: Sequence[Any], top_k: int = 3) -> list[Prediction]:
        """One prediction for each row that `model.parse` made. Raises whatever encoder or graph raise of a row."""
        if not rows:
            return []
        encoded = self.model.encode(rows)
        probabilities = self.run(encoded).probabilities
        if not np.isfinite(probabilities).all():
            raise FloatingPointError("the graph answered with what is no number")
        best = np.argsort(-probabilities, axis=1, kind="stable")[:, :top_k]
        scores = np.take_along_axis(probabilities, best, axis=1)
        ranked = zip(encoded, best.tolist(), scores.tolist(), strict=True)
        return [self._prediction(row, *each) for row, *each in ranked]

    def works(self) -> bool:
        """Whether it still answers its own example; if not, a run that failed says nothing about its rows."""
        try:
            self.answer_example()
        except Exception:  # whatever it is
            return False
        return True

    def answer_example(self) -> None:
        """Raises whatever `parse` or `answer` raise of the bundle's first example."""
        self.answer([self.model.parse(example) for example in self.manifest.examples[:1]])

    def outputs(self, rows: Sequence[Any], batch_size: int = 32) -> Outputs:
        """What the graph says of each row; there must be one."""
        return self.run(self.model.encode(rows), batch_size)

    def run(self, encoded: Sequence[Encoded], batch_size: int = 32) -> Outputs:
        """The same of rows that `model.encode` has seen."""
        batches = _of_like_length([row.length for row in encoded], batch_size)
        ran = [self.run_batch([encoded[index] for index in batch]) for batch in batches]
        parts = [np.concatenate(each) for each in zip(*ran, strict=True)]
        back = np.argsort([index for batch in batches for index in batch])
        return Outputs(*(part[back] for part in parts))

    def run_batch(self, encoded: Sequence[Encoded]) -> tuple[Floats, Floats, Floats]:
        """One run: OUTPUTS of rows that are all padded to the longest of them."""
        feeds = self.model.collate(encoded)
        logits, probabilities, embedding = self._session.run(
            OUTPUTS, {name: array for name, array in feeds.items() if name in self._inputs}
        )
        return logits, probabilities, embedding

    def _prediction(self, row: Encoded, best: list[int], scores: list[float]) -> Prediction:
        top = [(self.manifest.labels[index], score) for index, score in zip(best, scores, strict=True)]
        return Prediction(label=top[0][0], score=top[0][1], top=top, truncated=row.truncated, length=row.length)


def open_predictor(bundle: Bundle, threads: int | None = None) -> Predictor:
    """The bundle opened and asked its first example, which its tokenizer, its limits and its graph must agree on.

    A server does this before it answers with a bundle, and whoever promotes a version before the alias moves.

    Raises:
        BundleError: no server could answer with it.
    """
    predictor, named = Predictor(bundle, threads), f"{bundle.manifest.name}@{bundle.manifest.version}"
    try:
        predictor.answer_example()
    except Exception as wrong:  # a graph's have no narrower base
        raise BundleError(f"{named} opens, but does not answer its own example: {wrong}") from wrong
    return predictor


def _of_like_length(lengths: Sequence[int], most: int) -> list[list[int]]:
    """Indices in batches of at most `most`, each with less padding than another run would cost."""
    batches: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        batch = batches[-1] if batches else []
        grows = lengths[index] - lengths[batch[-1]] if batch else 0
        if batch and len(batch) < most and grows * len(batch) <= RUN_COST:
            batch.append(index)
        else:
            batches.append([index])
    return batches


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
    # what ONNX Runtime would remember of each shape of batch costs more than it saves: few batches are alike
    options.enable_mem_pattern = options.enable_cpu_mem_arena = False
    options.log_severity_level = 4  # what fails raises, and need not be said in lines that are no JSON
    try:
        return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as wrong:  # its exceptions share no narrower base
        raise BundleError(f"{path} is not a graph that ONNX Runtime {ort.__version__} opens: {wrong}") from wrong
