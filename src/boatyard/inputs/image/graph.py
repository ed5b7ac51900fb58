"""The network's graph in int8."""

import tempfile
from collections.abc import Iterable
from pathlib import Path

from onnxruntime.quantization import QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from boatyard.inputs.graphs import Batches, quiet
from boatyard.inputs.protocol import Feeds

_LAYERS = ["Conv", "Gemm", "MatMul"]  # no sums: those of a box's edges would be rounded to 256 places


def quantize_graph(fp32: Path, int8: Path, calibration: Iterable[Feeds]) -> None:
    """Convolutions and what joins them: scales are fixed beforehand, so that a row's answer is its own."""
    with tempfile.TemporaryDirectory() as folder, quiet():
        prepared = Path(folder, "prepared.onnx")
        quant_pre_process(fp32, prepared, skip_symbolic_shape=True)
        quantize_static(
            prepared,
            int8,
            Batches(calibration, prepared),
            op_types_to_quantize=_LAYERS,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
