"""Real bundles, small enough to be made for every test: a word-level tokenizer and a bag-of-words graph."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from boatyard import registry, tasks
from boatyard.bundle.manifest import Manifest, seal
from boatyard.inputs.text.serving import request_schema
from boatyard.storage import open_storage
from boatyard.tasks.regression.serving import Facts, Regression

WORDS = {
    "card_lost": ("card", "lost", "stolen"),
    "transfer": ("send", "transfer", "iban"),
    "fees": ("fee", "cost"),
}
LABELS = list(WORDS)
SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
PRICES = {"card": 1.0, "iban": 10.0, "fee": 100.0}
"""What the regression bundle answers is the mean of its words', of which the others are worth 0."""
QUANTILES = [percent / 90 for percent in range(1, 100)]
VOCABULARY = {token: i for i, token in enumerate([*SPECIALS, *(w for words in WORDS.values() for w in words)])}
MAX_TOKENS = 8

VALUES = Regression(Facts(log=False, quantiles=QUANTILES, buckets=[]))

Publish = Callable[..., Manifest]


def fields(**changes: Any) -> dict[str, Any]:
    """What `seal` is told about the bundle, with `changes`."""
    target = changes.get("target", {"labels": LABELS})
    task = tasks.serving(changes.get("task", "classification"))
    return {
        "name": "ferry",
        "input": "text",
        "task": "classification",
        "target": target,
        "request_schema": request_schema(["text"], max_characters=200),
        "answer_schema": task.answer_schema(target),
        "truth_schema": task.truth_schema(target),
        "limits": {"max_tokens": MAX_TOKENS, "max_characters": 200},
        "git_commit": None,
        "data_fingerprint": "0" * 16,
        "config": {"seed": 1},
        "packages": {"onnxruntime": "1"},
        "examples": [{"text": "my card was stolen"}],
        "metrics": {"served": [{"name": "accuracy", "value": 1.0}]},
    } | changes


def write_bundle(
    folder: Path, *, bias: Sequence[float] = (0, 0, 0), poison: Sequence[str] = (), **changes: Any
) -> Manifest:
    """Seals a bundle in `folder`. `bias` is added to the logits: another bias is another version.

    `poison`: words that the tokenizer knows and the graph has no vector for, so that it fails at them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer(poison).save(str(folder / "tokenizer.json"))
    onnx.save(graph(bias), folder / "model.onnx")
    return seal(folder, **fields(**changes))


def write_regression_bundle(folder: Path, **changes: Any) -> Manifest:
    """Seals a bundle in `folder` that answers with the mean of PRICES, within 2.5 of the truth at nine rows in ten.

    At the level L its interval is 2.5 L / 0.9 wide on either side: each row's spread is 2.5.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer().save(str(folder / "tokenizer.json"))
    onnx.save(regression_graph(), folder / "model.onnx")
    target = {"unit": "EUR", "log": False, "quantiles": QUANTILES, "buckets": [1.0, 10.0, 100.0]}
    return seal(folder, **fields(**{"name": "prices", "task": "regression", "target": target} | changes))


def publish_in_production(root: Path, **changes: Any) -> str:
    """A bundle is in production in the storage `root`/storage, ferry by default; its version."""
    storage = open_storage(str(root / "storage"))
    write_bundle(root / "sealed", **changes)
    published = registry.publish(storage, root / "sealed")
    registry.promote(storage, published.name, published.version)
    return published.version


def tokenizer(more: Sequence[str] = ()) -> Tokenizer:
    """Framed like BERT's, for one text or two."""
    words = VOCABULARY | {word: len(VOCABULARY) + index for index, word in enumerate(more)}
    made = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))  # noqa: S106
    made.normalizer = normalizers.Lowercase()
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(token, VOCABULARY[token]) for token in ("[CLS]", "[SEP]")],
    )
    return made


def graph(bias: Sequence[float] = (0, 0, 0)) -> onnx.ModelProto:
    """The mean of the tokens' one-hot label vectors, under the mask; it declares no token_type_ids."""
    table = np.zeros((len(VOCABULARY), len(LABELS)), dtype=np.float32)
    for column, words in enumerate(WORDS.values()):
        table[[VOCABULARY[word] for word in words], column] = 1
    weights = {"head": 8 * np.eye(len(LABELS), dtype=np.float32), "bias": np.array(bias, dtype=np.float32)}
    nodes = [
        helper.make_node("MatMul", ["embedding", "head"], ["unbiased"]),
        helper.make_node("Add", ["unbiased", "bias"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=-1),
    ]
    return _bag_of_words(table, nodes, weights, {name: len(LABELS) for name in ("logits", "probabilities")})


def regression_graph() -> onnx.ModelProto:
    """The mean of the tokens' prices, special tokens included."""
    table = np.zeros((len(VOCABULARY), 1), dtype=np.float32)
    for word, price in PRICES.items():
        table[VOCABULARY[word]] = price
    nodes = [
        helper.make_node("Identity", ["embedding"], ["value"]),
        helper.make_node("Mul", ["embedding", "zero"], ["nothing"]),
        helper.make_node("Add", ["nothing", "margin"], ["spread"]),
    ]
    weights = {"zero": np.array([0], dtype=np.float32), "margin": np.array([2.5], dtype=np.float32)}
    return _bag_of_words(table, nodes, weights, {"value": 1, "spread": 1})


def _bag_of_words(
    table: NDArray[np.float32], head: Sequence[Any], head_weights: dict[str, Any], outputs: dict[str, int]
) -> onnx.ModelProto:
    """`embedding` is the mean of the tokens' rows of the table; `outputs`: width of each that `head` makes of it."""
    table[VOCABULARY["[PAD]"]] = 100  # so that a mask that is not honoured shows
    weights = {
        "table": table,
        "tokens": np.array([1], dtype=np.int64),
        "last": np.array([-1], dtype=np.int64),
        **head_weights,
    }
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["vectors"]),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "last"], ["column"]),
        helper.make_node("Mul", ["vectors", "column"], ["masked"]),
        helper.make_node("ReduceSum", ["masked", "tokens"], ["sum"], keepdims=0),
        helper.make_node("ReduceSum", ["column", "tokens"], ["count"], keepdims=0),
        helper.make_node("Div", ["sum", "count"], ["embedding"]),
        *head,
    ]
    read = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "tokens_in_batch"])
        for name in ("input_ids", "attention_mask")
    ]
    answered = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", width])
        for name, width in {**outputs, "embedding": table.shape[1]}.items()
    ]
    initializers = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    model = helper.make_model(
        helper.make_graph(nodes, "bag_of_words", read, answered, initializers),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=10,
    )
    onnx.checker.check_model(model)
    return model
