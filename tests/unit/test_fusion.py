"""int8 products in one node each, with the answers of the quantiser's own graph."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from boatyard.inputs import graphs
from boatyard.inputs.fusion import fuse_products
from boatyard.inputs.graphs import quantize

pytestmark = pytest.mark.unit

WIDTH = 8
ROWS = np.random.default_rng(0).normal(size=(64, WIDTH)).astype(np.float32)
Array = NDArray[np.float32]


def block() -> onnx.ModelProto:
    """A sum with a residual, then GELU: what a transformer's layer has. `inner` is an output, and so keeps its bias."""
    nodes = [
        helper.make_node("MatMul", ["rows", "first"], ["product"], name="first"),
        helper.make_node("BiasGelu", ["product", "first_bias"], ["bent"], domain="com.microsoft"),
        helper.make_node("MatMul", ["bent", "second"], ["inner"], name="second"),
        helper.make_node("Add", ["second_bias", "inner"], ["biased"]),
        helper.make_node("Add", ["biased", "rows"], ["residual"]),
        helper.make_node("MatMul", ["residual", "third"], ["last"], name="third"),
        helper.make_node("Add", ["last", "third_bias"], ["answer"]),
    ]
    layers = ("first", "second", "third")
    shapes = dict.fromkeys(layers, (WIDTH, WIDTH)) | {f"{layer}_bias": (WIDTH,) for layer in layers}
    random = np.random.default_rng(1)
    weights = {name: random.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    row, inner, answer = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", WIDTH]) for name in ("rows", "inner", "answer")
    )
    initializers = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    graph = helper.make_graph(nodes, "block", [row], [inner, answer], initializers)
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def quantised(path: Path) -> onnx.ModelProto:
    quantize(block(), path, [{"rows": ROWS}])
    return onnx.load(path)


def answer(model: onnx.ModelProto, rows: Array = ROWS) -> Array:
    return np.asarray(ort.InferenceSession(model.SerializeToString()).run(["answer"], {"rows": rows})[0])


def test_products_have_their_biases_and_residuals_are_exact(tmp_path: Path) -> None:
    nodes = quantised(tmp_path / "int8.onnx").graph.node
    assert Counter(node.op_type for node in nodes) == {
        "QuantizeLinear": 3,
        "MatMulIntegerToFloat": 3,
        "Gelu": 1,
        "Add": 2,
    }
    products = {node.name: node for node in nodes if node.op_type == "MatMulIntegerToFloat"}
    assert [list(products[name].input)[6:] for name in ("first", "second", "third")] == [
        ["first_bias"],
        [],
        ["third_bias"],
    ]
    assert list(products["third"].output) == ["answer"]
    assert "rows" in next(node for node in nodes if "residual" in node.output).input


def test_answers_are_those_of_the_quantised_graph_but_for_what_it_rounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fused, exact = answer(quantised(tmp_path / "fused.onnx")), answer(block())
    monkeypatch.setattr(graphs, "fuse_products", lambda _: None)
    plain = answer(quantised(tmp_path / "plain.onnx"))
    assert 0 < np.abs(fused - plain).mean() < np.abs(plain - exact).mean()
    assert np.abs(fused - exact).max() < 0.05 * np.abs(exact).max()


def loses_biases(model: onnx.ModelProto) -> None:
    fuse_products(model)
    for node in model.graph.node:
        if node.op_type == "MatMulIntegerToFloat":
            del node.input[6:]


def has_an_operator_that_is_not_there(model: onnx.ModelProto) -> None:
    model.graph.node[-1].op_type = "NoOperator"


@pytest.mark.parametrize("change", [loses_biases, has_an_operator_that_is_not_there])
def test_what_answers_worse_or_not_at_all_is_not_used_and_the_log_says_so(
    change: Callable[[onnx.ModelProto], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(graphs, "fuse_products", lambda _: None)
    plain = answer(quantised(tmp_path / "plain.onnx"))
    assert not caplog.messages
    monkeypatch.setattr(graphs, "fuse_products", change)
    assert (answer(quantised(tmp_path / "int8.onnx")) == plain).all()
    assert [message for message in caplog.messages if "as the quantiser wrote it" in message]


def test_a_row_is_answered_alone_as_in_a_batch(tmp_path: Path) -> None:
    model = quantised(tmp_path / "int8.onnx")
    assert (answer(model)[:16] == np.concatenate([answer(model, row[None]) for row in ROWS[:16]])).all()
