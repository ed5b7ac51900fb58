"""A quantised graph with all of an int8 product in one node, its bias included.

The quantiser writes each product as DequantizeLinear, MatMul and what comes after. When ONNX Runtime loads that, it
makes one MatMulIntegerToFloat of the first two, and leaves the bias to a node of its own, and one that dequantises to
whatever else reads the product's input. Here the graph is written as its kernels want it:

- a product adds its bias itself, and the GELU behind it has none;
- a residual connection reads what it read before the graph was quantised: one node less, and nothing rounded.

These are operators that ONNX Runtime documents and has for every processor, so one file serves everywhere, and what
suits one kind of processor is still done where it is loaded.
"""
# reports/benchmarks/engine.md has what it gains, together with the mask and the arena  # part: story

from collections import Counter

import onnx
from onnx import helper

_DOMAIN = "com.microsoft"


def fuse_products(model: onnx.ModelProto) -> None:
    """Change the graph, whose weights are the right factors of its MatMuls."""
    graph = model.graph
    made = {name: node for node in graph.node for name in node.output}
    products = [
        node
        for node in graph.node
        if node.op_type == "MatMul" and all(_is(made.get(name), "DequantizeLinear") for name in node.input)
    ]
    for product in products:
        left, right = (made[name] for name in product.input)
        factors = [name for pair in zip(left.input, right.input, strict=True) for name in pair]  # codes, scales, zeros
        _write(product, "MatMulIntegerToFloat", factors)
    _add_biases(graph, products)
    _read_exact(graph, made)
    _drop_unread(graph)
    if _DOMAIN not in {opset.domain for opset in model.opset_import}:
        model.opset_import.append(helper.make_opsetid(_DOMAIN, 1))


def _add_biases(graph: onnx.GraphProto, products: list[onnx.NodeProto]) -> None:
    """To the products that nothing but a sum with a constant vector reads, or that sum's GELU."""
    vectors = {tensor.name: tensor.dims[0] for tensor in graph.initializer if len(tensor.dims) == 1}
    reads = _reads(graph)
    readers = {name: node for node in graph.node for name in node.input}
    for product in products:
        (sum_,) = product.output
        reader = readers.get(sum_)
        if reads[sum_] > 1 or reader is None or reader.op_type not in ("Add", "BiasGelu"):
            continue
        width = vectors[product.input[3]]  # of the weights' scales, one a column
        bias = next((name for name in reader.input if vectors.get(name) == width), None)
        if bias is None:
            continue
        product.input.append(bias)
        if reader.op_type == "BiasGelu":
            _write(reader, "Gelu", [sum_])
        else:
            product.output[0] = reader.output[0]
            graph.node.remove(reader)


def _read_exact(graph: onnx.GraphProto, made: dict[str, onnx.NodeProto]) -> None:
    """What reads numbers that were quantised and dequantised reads these as they were, but for quantised layers."""
    exact = {
        name: made[node.input[0]].input[0]
        for name, node in made.items()
        if node.op_type == "DequantizeLinear" and _is(made.get(node.input[0]), "QuantizeLinear")
    }
    for node in graph.node:
        if node.op_type not in ("MatMul", "Gemm"):
            for place, name in enumerate(node.input):
                node.input[place] = exact.get(name, name)


def _drop_unread(graph: onnx.GraphProto) -> None:
    reads = _reads(graph)
    for node in reversed(list(graph.node)):  # a node comes after all that it reads
        if not any(reads[name] for name in node.output):
            reads.subtract(node.input)
            graph.node.remove(node)


def _reads(graph: onnx.GraphProto) -> Counter[str]:
    """How often each tensor is read, by a node or by whoever runs the graph."""
    inputs = (name for node in graph.node for name in node.input)
    return Counter([*inputs, *(output.name for output in graph.output)])


def _is(node: onnx.NodeProto | None, operator: str) -> bool:
    return node is not None and node.op_type == operator


def _write(node: onnx.NodeProto, operator: str, inputs: list[str]) -> None:
    """Another node with the same name and outputs."""
    node.CopyFrom(helper.make_node(operator, inputs, list(node.output), name=node.name, domain=_DOMAIN))
