"""Pruning and torch.compile, each with accuracy, size and time before and after:  python benchmarks/compress.py

On the bundled messages and the tiny model, as the README's first command trains it:

- pruned: heads of attention and neurons of the feed-forward layers with the smallest weights are taken out, or single
  weights are set to 0; then the network is trained for some epochs more, and exported in fp32 and int8;
- compiled: steps of training, and batches that are only read, with and without `torch.compile`.

All in one process and in turns, because a machine's speed drifts. Needs a C++ compiler for `torch.compile`. Writes
reports/benchmarks/compress.md and .json.
"""

import argparse
import copy
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import torch
from report import write_report
from torch import Tensor, nn

from boatyard import inputs, tasks
from boatyard.config.compose import load_config
from boatyard.config.schema import Config
from boatyard.data.encode import Encoded, encode
from boatyard.data.prepare import Prepared, prepare
from boatyard.evaluate.markdown import table
from boatyard.model import Network, Served, open_network, predict
from boatyard.train.assembly import build_trainer
from boatyard.train.checkpoints import Checkpoints
from boatyard.train.fit import train

ROUNDS = 5
EPOCHS = 2  # after pruning, at a tenth of the learning rate
BATCH = 32
CALIBRATED_ON = 512  # training rows
STEPS = 30  # of training in each round

Batch = dict[str, Tensor]


@dataclass(frozen=True)
class Variant:
    """`prune` changes a network in place."""

    name: str
    prune: Callable[[Network], None]


def take_heads(network: Network, left: int) -> None:
    """In each layer, all but so many heads of attention, those whose values' and outputs' weights are smallest."""
    encoder: Any = network.backbone.encoder
    for layer in encoder.encoder.layer:
        attention, output = layer.attention.self, layer.attention.output
        width = attention.attention_head_size
        by_head = attention.value.weight.unflatten(0, (-1, width)).square().sum((1, 2))
        by_head = by_head * output.dense.weight.unflatten(1, (-1, width)).square().sum((0, 2))
        heads = by_head.topk(left).indices.sort().values
        kept = (heads.unsqueeze(1) * width + torch.arange(width)).flatten()
        for name in ("query", "key", "value"):
            setattr(attention, name, _rows(getattr(attention, name), kept))
        output.dense = _columns(output.dense, kept)
        attention.num_attention_heads, attention.all_head_size = left, left * width
    encoder.config.num_attention_heads = left


def take_neurons(network: Network, share: float) -> None:
    """In each feed-forward layer so many neurons, those whose weights, into them times out of them, are smallest."""
    encoder: Any = network.backbone.encoder
    for layer in encoder.encoder.layer:
        into, out = layer.intermediate.dense, layer.output.dense
        weight = into.weight.square().sum(1) * out.weight.square().sum(0)
        kept = weight.topk(round(len(weight) * (1 - share))).indices.sort().values
        layer.intermediate.dense, layer.output.dense = _rows(into, kept), _columns(out, kept)
    encoder.config.intermediate_size = len(kept)


def zero_weights(network: Network, share: float) -> None:
    """In each matrix of the encoder's layers so many weights, the smallest, for good: they stay 0 in training."""
    encoder: Any = network.backbone.encoder
    for module in encoder.encoder.modules():
        if isinstance(module, nn.Linear):
            weight = module.weight
            least = weight.abs().flatten().kthvalue(max(1, round(share * weight.numel()))).values
            mask = (weight.abs() > least).to(weight.dtype)
            weight.data.mul_(mask)
            weight.register_hook(lambda gradient, mask=mask: gradient * mask)


def _rows(layer: nn.Linear, kept: Tensor) -> nn.Linear:
    return _linear(layer.weight[kept], layer.bias[kept])


def _columns(layer: nn.Linear, kept: Tensor) -> nn.Linear:
    return _linear(layer.weight[:, kept], layer.bias)


def _linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    made = nn.Linear(weight.shape[1], weight.shape[0])
    made.weight.data, made.bias.data = weight.detach().clone(), bias.detach().clone()
    return made


VARIANTS = [
    Variant("as trained", lambda network: None),  # noqa: ARG005
    *(Variant(f"{share:.0%} of neurons out", lambda n, share=share: take_neurons(n, share)) for share in (0.5, 0.75)),
    Variant("half of the heads out", lambda network: take_heads(network, 1)),
    Variant("half of the heads and of the neurons out", lambda n: (take_heads(n, 1), take_neurons(n, 0.5))),
    *(Variant(f"{share:.0%} of weights 0", lambda n, share=share: zero_weights(n, share)) for share in (0.5, 0.9)),
]


class Bench:
    """One trained network, its rows, and a folder for what is made of it."""

    def __init__(self, config: Config, folder: Path) -> None:
        self.config, self.folder = config, folder
        self.prepared: Prepared = prepare(config)
        self.encoded: Encoded = encode(config, self.prepared)
        self.trained = train(config, self.prepared, self.encoded)
        self.encoder = inputs.training(config.data.input).open_encoder(self.encoded.folder)
        self.targets = self.prepared.targets("test")

    def network(self) -> Network:
        """A copy of the trained one."""
        return open_network(self.trained.folder)

    def accuracy(self, network: Network) -> float:
        """On the test split, in fp32."""
        output = tasks.serving(self.config.data.task).OUTPUTS[0]
        answers = predict(self.config, network, self.encoded.folder, self.encoded.splits["test"])[output]
        return float((answers.argmax(-1) == self.targets).mean())

    def train_on(self, network: Network) -> None:
        """Some epochs with what is left."""
        rate = self.config.train.learning_rate / 10
        brief = {"num_train_epochs": float(EPOCHS), "learning_rate": rate, "eval_strategy": "no", "save_strategy": "no"}
        config = self.config.model_copy(update={"train": self.config.train.model_copy(update=brief)})
        places = Checkpoints(Path(tempfile.mkdtemp(dir=self.folder)), keep=None)
        build_trainer(config, self.prepared, self.encoded, places, network=network).train()
        network.eval()

    def batches(self, split: str, rows: int, most: int | None = None) -> Iterator[Batch]:
        """Of like length, without targets."""
        encoded = self.encoded.splits[split]
        order = np.argsort(np.asarray(encoded["cost"][:]), kind="stable")
        if most is not None:
            order = order[np.linspace(0, len(order) - 1, most).astype(int)]
        for start in range(0, len(order), rows):
            yield self.encoder.collate(encoded.select(order[start : start + rows]).to_list())

    def graphs(self, network: Network, name: str) -> dict[str, Path]:
        """Its graphs in fp32 and int8."""
        input_, served = inputs.training(self.config.data.input), Served(copy.deepcopy(network))
        files = {precision: self.folder / f"{name}.{precision}.onnx" for precision in ("fp32", "int8")}
        outputs = [*tasks.serving(self.config.data.task).OUTPUTS, "embedding"]
        input_.export_graph(served, next(self.batches("test", 2)), outputs, files["fp32"])
        assert input_.quantize_graph is not None
        feeds = (_arrays(batch) for batch in self.batches("train", BATCH, CALIBRATED_ON))
        input_.quantize_graph(files["fp32"], files["int8"], feeds)
        return files


def _arrays(batch: Batch) -> dict[str, Any]:
    """What a graph reads: types too, which training leaves out where there is one text."""
    arrays = {name: tensor.numpy() for name, tensor in batch.items()}
    return {**arrays, "token_type_ids": np.zeros_like(arrays["input_ids"])}


def _session(graph: Path) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    return ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def _feeds(session: ort.InferenceSession, batches: Iterator[Batch]) -> list[dict[str, Any]]:
    read = {value.name for value in session.get_inputs()}
    return [{name: array for name, array in _arrays(batch).items() if name in read} for batch in batches]


def prune(bench: Bench) -> list[dict[str, Any]]:
    """The figures of each variant; their graphs answer in turns."""
    found, sessions = [], []
    for number, variant in enumerate(VARIANTS):
        network = bench.network()
        variant.prune(network)
        at_once = bench.accuracy(network)
        bench.train_on(network)
        layers: Any = network.backbone.encoder.encoder
        weights = [parameter for parameter in layers.parameters() if parameter.ndim == 2]
        files = bench.graphs(network, str(number))
        session = _session(files["int8"])
        answers = np.concatenate([session.run(None, feed)[0] for feed in _feeds(session, bench.batches("test", BATCH))])
        order = np.argsort(np.asarray(bench.encoded.splits["test"]["cost"][:]), kind="stable")
        found.append(
            {
                "name": variant.name,
                "accuracy_before_training": at_once,
                "accuracy_fp32": bench.accuracy(network),
                "accuracy_int8": float((answers.argmax(-1) == bench.targets[order]).mean()),
                "layer_weights": sum(weight.numel() for weight in weights),
                "zero_share": sum(int((weight == 0).sum()) for weight in weights) / sum(map(Tensor.numel, weights)),
                **{f"{precision}_bytes": file.stat().st_size for precision, file in files.items()},
            }
        )
        sessions.append({precision: _session(file) for precision, file in files.items()})
        print(found[-1], flush=True)  # noqa: T201
    for rows in (1, BATCH):
        for precision in ("fp32", "int8"):
            feeds = [_feeds(each[precision], bench.batches("test", rows)) for each in sessions]
            times = _in_turns([lambda s=s[precision], f=f: _answer(s, f) for s, f in zip(sessions, feeds, strict=True)])
            for variant, seconds in zip(found, times, strict=True):
                each = [one / len(bench.targets) for one in seconds]
                variant[f"{precision}_ms_by_{rows}"] = 1000 * statistics.median(each)
                ratios = [a / b for a, b in zip(seconds, times[0], strict=True)]
                variant[f"{precision}_ratio_by_{rows}"] = statistics.median(ratios)
    return found


def _answer(session: ort.InferenceSession, feeds: Sequence[dict[str, Any]]) -> None:
    for feed in feeds:
        session.run(None, feed)


def _in_turns(contenders: Sequence[Callable[[], None]]) -> list[list[float]]:
    """Processor seconds of each in each round, every other in reverse; a round before them is not counted."""
    times: list[list[float]] = [[] for _ in contenders]
    for number in range(-1, ROUNDS):
        for place in range(len(contenders)) if number % 2 else reversed(range(len(contenders))):
            began = time.process_time()
            contenders[place]()
            if number >= 0:
                times[place].append(time.process_time() - began)
    return times


def compile_(bench: Bench) -> dict[str, Any]:
    """Eager and compiled, on the same batches; the first pass, which compiles, apart."""
    torch._dynamo.config.cache_size_limit = 64  # lengths differ
    found: dict[str, Any] = {}
    labels = torch.as_tensor(bench.prepared.targets("train"))
    order = np.argsort(np.asarray(bench.encoded.splits["train"]["cost"][:]), kind="stable")
    read = list(bench.batches("test", BATCH))
    learnt = list(bench.batches("train", BATCH))
    pick = np.linspace(0, len(learnt) - 2, STEPS).astype(int)
    steps = [(learnt[i], labels[order[i * BATCH : (i + 1) * BATCH].copy()].long()) for i in pick]
    for name, work in (("training", _training), ("reading", _reading)):
        eager, compiled = (work(bench.network(), steps if name == "training" else read, how) for how in (False, True))
        began = time.perf_counter(), time.process_time()
        compiled()
        found[name] = {
            "first_pass_seconds": time.perf_counter() - began[0],
            "first_pass_processor_seconds": time.process_time() - began[1],
        }
        for _ in range(2):
            compiled()  # further shapes
        times = _in_turns([eager, compiled])
        count = len(steps) if name == "training" else len(read)
        found[name] |= {
            "eager_ms": 1000 * statistics.median(times[0]) / count,
            "compiled_ms": 1000 * statistics.median(times[1]) / count,
            "times_as_fast": statistics.median(a / b for a, b in zip(*times, strict=True)),
        }
        print(name, found[name], flush=True)  # noqa: T201
    output = 0
    plain, fast = Served(bench.network()), torch.compile(Served(bench.network()), dynamic=True)
    with torch.inference_mode():
        pairs = [(plain(**batch)[output], fast(**batch)[output]) for batch in read]
    found["largest_difference"] = max(float((a - b).abs().max()) for a, b in pairs)
    found["same_answers"] = sum(int((a.argmax(-1) == b.argmax(-1)).sum()) for a, b in pairs) / len(bench.targets)
    return found


def _training(network: Network, steps: Sequence[tuple[Batch, Tensor]], compiled: bool) -> Callable[[], None]:
    optimizer = torch.optim.AdamW(network.train().parameters(), lr=1e-5)
    forward = torch.compile(network, dynamic=True) if compiled else network

    def run() -> None:
        for batch, labels in steps:
            forward(labels=labels, **batch)["loss"].backward()
            optimizer.step()
            optimizer.zero_grad()

    return run


def _reading(network: Network, batches: Sequence[Batch], compiled: bool) -> Callable[[], None]:
    served = Served(network)
    forward = torch.compile(served, dynamic=True) if compiled else served

    def run() -> None:
        with torch.inference_mode():
            for batch in batches:
                forward(**batch)

    return run


def require_compiler() -> None:
    """What torch.compile makes of a network for this processor is C++."""
    if not any(map(shutil.which, ("g++", "c++", "clang++"))):
        sys.exit("torch.compile needs a C++ compiler, and there is none here: install g++, or leave it out by --prune")


def write(facts: dict[str, Any], command: str) -> None:
    """Write the figures as Markdown and JSON."""
    pruned = [
        [
            each["name"],
            f"{each['accuracy_before_training']:.3f}",
            f"{each['accuracy_fp32']:.3f}",
            f"{each['accuracy_int8']:.3f}",
            f"{each['fp32_bytes'] / 1e6:.2f}",
            f"{each['int8_bytes'] / 1e6:.2f}",
            f"{each['int8_ms_by_1']:.3f}",
            f"{each['int8_ratio_by_1']:.2f}",
            f"{each[f'int8_ms_by_{BATCH}']:.3f}",
            f"{each[f'int8_ratio_by_{BATCH}']:.2f}",
            f"{each[f'fp32_ratio_by_{BATCH}']:.2f}",
        ]
        for each in facts["pruned"]
    ]
    header = [
        "",
        "Accuracy at once",
        f"after {EPOCHS} epochs",
        "in int8",
        "MB, fp32",
        "MB, int8",
        "ms alone, int8",
        "of the first",
        f"ms by {BATCH}, int8",
        "of the first",
        "fp32, of the first",
    ]
    text = [
        "# Pruning and compiling",
        "The tiny model on the bundled messages. Times are of a processor, a message, in ONNX Runtime on one thread, "
        f"alone and in batches of {BATCH} of like length; in turns, {ROUNDS} rounds; medians, also of the ratios "
        "within a round.",
        "## Pruning",
        table(header, pruned, align="l" + "r" * (len(header) - 1)),
        f"What has the smallest weights is taken out of the trained network, which is then trained for {EPOCHS} epochs "
        "more, as the first line is too. Heads and neurons that are gone are gone from the graph. Single weights that "
        "are 0 stay in their matrix: the file is as large, and this engine multiplies by 0 as by any number.",
    ]
    if compiled := facts.get("compiled"):
        rows = [
            [
                name,
                f"{each['eager_ms']:.1f}",
                f"{each['compiled_ms']:.1f}",
                f"{each['times_as_fast']:.2f}",
                f"{each['first_pass_seconds']:.0f}",
            ]
            for name, each in (
                (f"a step of training, {BATCH} messages", compiled["training"]),
                (f"reading {BATCH} messages", compiled["reading"]),
            )
        ]
        text += [
            "## torch.compile",
            table(["", "ms", "ms, compiled", "Times as fast", "Seconds to compile"], rows, align="lrrrr"),
            "The network as it is trained, its lengths dynamic (`torch.compile(network, dynamic=True)`), AdamW not "
            f"compiled. Compiled, probabilities differ by {compiled['largest_difference']:.1e} at most, and "
            f"{compiled['same_answers']:.1%} of the test rows are answered alike. What is served is an ONNX graph, "
            "which this does not touch.",
        ]
    text.append(f"    {command}")
    packages = ["boatyard", "torch", "transformers", "onnxruntime"]
    write_report("compress", text, {"command": command, **facts}, packages)


def main() -> None:
    """Train, measure and write the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prune", action="store_true", help="leave torch.compile out")
    options = parser.parse_args()
    if not options.prune:
        require_compiler()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        places = [f"paths.{name}={folder}/{name}" for name in ("processed", "runs", "reports", "storage")]
        overrides = ["data=inbox", "model=tiny", "tracking=none", "train.use_cpu=true"]
        bench = Bench(load_config([*overrides, *places]), Path(folder))
        facts: dict[str, Any] = {"pruned": prune(bench)}
        if not options.prune:
            facts["compiled"] = compile_(bench)
    write(facts, "python benchmarks/compress.py" + " --prune" * options.prune)


if __name__ == "__main__":
    main()
