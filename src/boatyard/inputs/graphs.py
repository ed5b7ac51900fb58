"""A network as an ONNX graph, and the same in int8 with answers that do not depend on the batch.

Dynamic quantisation takes one scale from the whole padded batch, so that a row's answer can change with its
neighbours. Here the scales of activations are fixed beforehand, on training rows; weights have one for each output
column.
"""

import inspect
import logging
import shutil
import tempfile
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import torch
from onnx import helper
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
from torch import Tensor, nn

from boatyard.inputs.fusion import fuse_products
from boatyard.inputs.protocol import Feeds

_BATCH = {0: "batch"}
_MOST_WORSE = 1.5
"""Of what int8 costs in exactness, what fusing products may make of it; it makes less of it as a rule."""

log = logging.getLogger(__name__)


def write_graph(
    network: nn.Module,
    example: Mapping[str, Tensor],
    outputs: Sequence[str],
    graph: Path,
    varying: Mapping[str, Mapping[int, str]] = MappingProxyType({}),
    opsets: Mapping[str, int] | None = None,
) -> None:
    """Write the served network in fp32.

    Args:
        network: a `boatyard.model.Served`, whose `outputs` these are.
        example: the backbone's arguments by name, of two rows or more: what is 1 may be traced away.
        outputs: their names, in the network's order.
        graph: the file.
        varying: the dimensions that differ from batch to batch, by input and position, where there are others than 0.
        opsets: besides ONNX's own, the domains of the network's operators with their versions.
    """
    places = list(inspect.signature(getattr(network, "backbone", network).forward).parameters)
    inputs = {name: example[name] for name in sorted(example, key=places.index)}
    axes = {name: {**_BATCH, **varying.get(name, {})} for name in (*inputs, *outputs)}
    with quiet(), torch.inference_mode():
        torch.onnx.export(  # the tracing exporter: none of the newer one's graphs can be fused
            _ByPlace(network, list(inputs)).eval(),
            tuple(inputs.values()),
            str(graph),
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_axes=axes,
            opset_version=17,
            custom_opsets=opsets,
            dynamo=False,
        )


class _ByPlace(nn.Module):
    """The tracer passes arguments by place, and a backbone may leave out some between them."""

    def __init__(self, network: nn.Module, names: Sequence[str]) -> None:
        super().__init__()
        self.network = network
        self.names = names

    def forward(self, *arguments: Tensor) -> Any:
        return self.network(**dict(zip(self.names, arguments, strict=True)))


def quantize_graph(fp32: Path, int8: Path, calibration: Iterable[Feeds]) -> None:
    """Write the graph with int8 weights and activations. `calibration`: some hundred training rows in batches."""
    quantize(onnx.load(fp32), int8, calibration)


def quantize(model: onnx.ModelProto, int8: Path, calibration: Iterable[Feeds], exact: str | None = None) -> None:
    """The same of a graph in memory, which is changed. `exact`: the name of modules whose products stay in fp32.

    Where fused products cannot be run here, or are less exact than those of the quantiser, the graph has the latter.
    """
    constants = {tensor.name for tensor in model.graph.initializer}
    layers = [
        node
        for node in model.graph.node
        if node.op_type in ("MatMul", "Gemm") and node.input[1] in constants and exact not in node.name.split("/")
    ]
    # shape inference stops at fused nodes, and calibration skips what has no type
    typed = {value.name for value in (*model.graph.value_info, *model.graph.output)}
    for name in sorted({tensor for node in layers for tensor in (node.input[0], node.output[0])} - typed):
        model.graph.value_info.append(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    batches = iter(calibration)
    sample = next(batches)
    with tempfile.TemporaryDirectory() as folder, quiet():
        prepared, quantised = Path(folder, "prepared.onnx"), Path(folder, "quantised.onnx")
        onnx.save(model, prepared)
        quantize_static(
            prepared,
            quantised,
            Batches(chain([sample], batches), prepared),
            nodes_to_quantize=[node.name for node in layers],
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            # each product comes out in float: more exact, and one kernel instead of three
            extra_options={"OpTypesToExcludeOutputQuantization": ["MatMul", "Gemm"]},
        )
        is_fused = _fuse(quantised, int8, prepared, sample)
        if not is_fused:
            shutil.copyfile(quantised, int8)
    if not is_fused:
        log.warning("export: products could not be fused; the graph is as the quantiser wrote it, and slower")


def _fuse(quantised: Path, fused: Path, fp32: Path, sample: Feeds) -> bool:
    """Write the graph with fused products; whether its answers to the sample are as near to fp32's."""
    try:
        graph = onnx.load(quantised)
        fuse_products(graph)
        onnx.save(graph, fused)
        exact, plain, ours = (_answers(path, sample) for path in (fp32, quantised, fused))
    except Exception:  # a graph's have no narrower base
        return False
    return all(
        np.abs(our - right).mean() <= _MOST_WORSE * np.abs(other - right).mean() + np.finfo(np.float32).eps
        for our, other, right in zip(ours, plain, exact, strict=True)
    )


def _answers(graph: Path, sample: Feeds) -> list[Any]:
    options = ort.SessionOptions()
    options.log_severity_level = 4  # what fails raises
    session = ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    return session.run(None, {value.name: sample[value.name] for value in session.get_inputs()})  # type: ignore[no-any-return]


@contextmanager
def quiet() -> Iterator[None]:
    """Without the warnings of tracer and quantiser: the parity check says whether it went well."""
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)


class Batches(CalibrationDataReader):  # type: ignore[misc]
    """Batches to calibrate on, of each what the graph reads."""

    def __init__(self, batches: Iterable[Feeds], graph: Path) -> None:
        inputs = {value.name for value in onnx.load(graph, load_external_data=False).graph.input}
        self._batches: Iterator[Feeds] = ({n: a for n, a in batch.items() if n in inputs} for batch in batches)

    def get_next(self) -> Feeds | None:
        """None once there are no more."""
        return next(self._batches, None)
