"""A text network as an ONNX graph with fused attention, and the same in int8, the tables of words included.

They are most of a small network's size. Each has one scale for each block of a row.
"""

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from onnxruntime.transformers.fusion_options import FusionOptions
from onnxruntime.transformers.optimizer import optimize_model
from torch import nn

from boatyard.inputs.graphs import quantize, quiet, write_graph
from boatyard.inputs.protocol import Feeds
from boatyard.inputs.text.backbone import TextBackbone

_TABLES = "embeddings.word_embeddings.weight", "wide.pieces", "wide.pairs"
_BLOCK = 128
_MASKED = -50.0
"""Added to the scores of padding: its weights are e**-50 of the others', and these take no notice of it. By ONNX
Runtime's own -10000 they become numbers so small that each product with one takes processors many times as long."""
_EXACT = "sums"  # a head's few weights for those of the wide branch, which differ more than eight bits can tell


def export_graph(
    network: nn.Module,
    example: Mapping[str, torch.Tensor],  # noqa: ARG001 - every input's signature
    outputs: Sequence[str],
    graph: Path,
) -> None:
    """Write the served network in fp32, with attention and GELU fused where ONNX Runtime knows how."""
    backbone = network.get_submodule("backbone")
    assert isinstance(backbone, TextBackbone)
    backbone.encoder.set_attn_implementation("eager")  # no fusion matches sdpa
    backbone.summed_in = torch.float64  # or a row's mean would change with its batch, and int8 makes that a step
    config = backbone.encoder.config
    with tempfile.TemporaryDirectory() as folder, quiet():
        plain = Path(folder, "plain.onnx")
        arguments = _example(backbone)
        write_graph(network, arguments, outputs, plain, _varying(backbone, arguments))
        fused = optimize_model(
            str(plain),
            "bert",
            config.num_attention_heads,
            config.hidden_size,
            opt_level=0,
            optimization_options=_fusions(),
        )
        for attention in fused.get_nodes_by_op_type("MultiHeadAttention"):
            attention.attribute.append(helper.make_attribute("mask_filter_value", _MASKED))
        fused.save_model_to_file(str(graph))


def quantize_graph(fp32: Path, int8: Path, calibration: Iterable[Feeds]) -> None:
    """Write the graph with int8 weights and activations. `calibration`: some hundred training rows in batches."""
    model = onnx.load(fp32)
    _quantize_tables(model.graph)
    quantize(model, int8, calibration, exact=_EXACT)


def _example(backbone: TextBackbone) -> dict[str, torch.Tensor]:
    ids = torch.ones(3 if backbone.in_windows else 2, 8, dtype=torch.int64)
    mask = torch.ones_like(ids)
    mask[1, 5:] = 0  # with padding, so that nothing is traced away
    types = {"token_type_ids": torch.zeros_like(ids)} if backbone.takes_types else {}
    words = {"words": torch.ones(2, 6, dtype=torch.int64)} if backbone.wide else {}
    # of three windows, the first text has two
    windows = {"windows": torch.tensor([2, 1])} if backbone.in_windows else {}
    return {"input_ids": ids, "attention_mask": mask, **types, **words, **windows}


def _varying(backbone: TextBackbone, arguments: Iterable[str]) -> dict[str, dict[int, str]]:
    tokens = {0: "windows", 1: "tokens"} if backbone.in_windows else {1: "tokens"}
    own = {"words": {1: "words"}, "windows": {}}
    return {name: own.get(name, tokens) for name in arguments}


def _fusions() -> FusionOptions:
    fusions = FusionOptions("bert")
    fusions.use_multi_head_attention = True  # leaves the projections as MatMuls, which can be quantised
    fusions.enable_skip_layer_norm = False  # ONNX Runtime 1.31 takes five times as long for it as for its two parts
    fusions.enable_embed_layer_norm = False  # leaves the word table in a Gather of its own
    fusions.use_raw_attention_mask(True)
    return fusions


def _quantize_tables(graph: onnx.GraphProto) -> None:
    """Store the tables of words as uint8."""
    tables = {tensor.name: tensor for tensor in graph.initializer if tensor.name.endswith(_TABLES)}
    for node in graph.node:
        if node.op_type != "Gather" or (tensor := tables.pop(node.input[0], None)) is None:
            continue
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
