"""The network as an ONNX graph, and the same in int8 with answers that do not depend on the batch.

Dynamic quantisation takes one scale from the whole padded batch, so a message's label can flip with its
neighbours. Here the scales of activations are fixed beforehand, on training rows; weights have one for each
output column, the word table one for each block of a row.
"""

import logging
import tempfile
import warnings
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
from onnxruntime.transformers.fusion_options import FusionOptions
from onnxruntime.transformers.optimizer import optimize_model
from torch import nn

from boatyard.inputs.protocol import Feeds
from boatyard.inputs.text.backbone import TextBackbone

_WORD_TABLE = "embeddings.word_embeddings.weight"
_BLOCK = 128


def export_graph(network: nn.Module, outputs: Sequence[str], graph: Path) -> None:
    """Write the served network in fp32, with attention and GELU fused where ONNX Runtime knows how."""
    backbone = network.get_submodule("backbone")
    assert isinstance(backbone, TextBackbone)
    backbone.encoder.set_attn_implementation("eager")  # no fusion matches sdpa
    config = backbone.encoder.config
    with tempfile.TemporaryDirectory() as folder, _quiet(), torch.inference_mode():
        plain = Path(folder, "plain.onnx")
        _trace(network, backbone.takes_types, outputs, plain)
        fused = optimize_model(
            str(plain),
            "bert",
            config.num_attention_heads,
            config.hidden_size,
            opt_level=0,
            optimization_options=_fusions(),
        )
        fused.save_model_to_file(str(graph))


def quantize_graph(fp32: Path, int8: Path, calibration: Iterable[Feeds]) -> None:
    """Write the graph with int8 weights and activations. `calibration`: some hundred training rows in batches."""
    model = onnx.load(fp32)
    constants = {tensor.name for tensor in model.graph.initializer}
    layers = [node for node in model.graph.node if node.op_type in ("MatMul", "Gemm") and node.input[1] in constants]
    # shape inference stops at fused nodes, and calibration skips what has no type
    typed = {value.name for value in (*model.graph.value_info, *model.graph.output)}
    for name in sorted({tensor for node in layers for tensor in (node.input[0], node.output[0])} - typed):
        model.graph.value_info.append(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    _quantize_word_table(model.graph)
    with tempfile.TemporaryDirectory() as folder, _quiet():
        prepared = Path(folder, "prepared.onnx")
        onnx.save(model, prepared)
        quantize_static(
            prepared,
            int8,
            _Batches(calibration, {value.name for value in model.graph.input}),
            nodes_to_quantize=[node.name for node in layers],
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            # each product comes out in float: more exact, and one kernel instead of three
            extra_options={"OpTypesToExcludeOutputQuantization": ["MatMul", "Gemm"]},
        )


def _trace(network: nn.Module, takes_types: bool, outputs: Sequence[str], graph: Path) -> None:
    inputs = ["input_ids", "attention_mask", *(["token_type_ids"] if takes_types else [])]
    ids = torch.ones(2, 8, dtype=torch.int64)
    mask = torch.ones_like(ids)
    mask[1, 5:] = 0  # with padding, and a batch above 1, so that nothing is traced away
    torch.onnx.export(  # the tracing exporter: none of the newer one's graphs can be fused
        network.eval(),
        (ids, mask, torch.zeros_like(ids))[: len(inputs)],
        str(graph),
        input_names=inputs,
        output_names=list(outputs),
        dynamic_axes={name: {0: "batch", 1: "tokens"} for name in inputs} | {name: {0: "batch"} for name in outputs},
        opset_version=17,
        dynamo=False,
    )


def _fusions() -> FusionOptions:
    fusions = FusionOptions("bert")
    fusions.use_multi_head_attention = True  # leaves the projections as MatMuls, which can be quantised
    fusions.enable_skip_layer_norm = False  # ONNX Runtime 1.31 takes five times as long for it as for its two parts
    fusions.enable_embed_layer_norm = False  # leaves the word table in a Gather of its own
    fusions.use_raw_attention_mask(True)
    return fusions


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the warnings of tracer and quantiser: the parity check says whether it went well."""
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)


class _Batches(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, batches: Iterable[Feeds], inputs: Collection[str]) -> None:
        self._batches: Iterator[Feeds] = ({n: a for n, a in batch.items() if n in inputs} for batch in batches)

    def get_next(self) -> Feeds | None:
        return next(self._batches, None)


def _quantize_word_table(graph: onnx.GraphProto) -> None:
    """Store the word table as uint8, which is most of a small encoder's size."""
    tables = {tensor.name: tensor for tensor in graph.initializer if tensor.name.endswith(_WORD_TABLE)}
    for node in graph.node:
        if node.op_type != "Gather" or node.input[0] not in tables:
            continue
        tensor = tables[node.input[0]]
        table = numpy_helper.to_array(tensor)
        words, width = table.shape
        blocks = np.pad(table, ((0, 0), (0, -width % _BLOCK))).reshape(words, -1, _BLOCK)
        scales = np.maximum(np.abs(blocks).max(axis=-1, keepdims=True), 1e-9) / 127
        codes = np.rint(blocks / scales + 128).astype(np.uint8).reshape(words, -1)[:, :width]
        stored = {
            f"{tensor.name}_codes": np.ascontiguousarray(codes),
            f"{tensor.name}_scales": scales[..., 0].astype(np.float32),
        }
        graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in stored.items())
        graph.initializer.remove(tensor)
        codes_name, scales_name = stored
        node.CopyFrom(
            helper.make_node(
                "GatherBlockQuantized",
                [codes_name, node.input[1], scales_name],
                list(node.output),
                name=node.name,
                domain="com.microsoft",
                gather_axis=0,
                quantize_axis=1,
                block_size=_BLOCK,
                bits=8,
            )
        )
        return
