"""A model of pictures that is made in no time: how red and how blue they are, in a box in the middle."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from boatyard import registry, tasks
from boatyard.bundle.manifest import Manifest, seal
from boatyard.inputs.image.serving import EXTENT, FILE, PIXELS, SIDE, _as_json
from boatyard.storage import open_storage

CLASSES = ["red", "blue"]
RED, BLUE = (255, 0, 0), (0, 0, 255)
READS = 32


def file_of(picture: Image.Image, form: str = "PNG", **how: Any) -> bytes:
    content = io.BytesIO()
    picture.save(content, form, **how)
    return content.getvalue()


def plain(colour: tuple[int, int, int], size: tuple[int, int] = (40, 20), form: str = "PNG") -> bytes:
    return file_of(Image.new("RGB", size, colour), form)


def publish_pictures(root: Path, name: str = "colours", **changes: Any) -> Manifest:
    """In production in the storage `root`/storage."""
    folder = root / name
    folder.mkdir()
    onnx.save(graph(), folder / "model.onnx")
    (folder / FILE).write_text(f'{{"{SIDE}": {READS}}}')
    target = {"classes": CLASSES, "threshold": 0.5} | changes
    task = tasks.serving("detection")
    sealed = seal(
        folder,
        name=name,
        input="image",
        task="detection",
        target=target,
        request_schema={
            "type": "object",
            "properties": {"image": {"type": "string", "contentEncoding": "base64"}},
            "required": ["image"],
        },
        answer_schema=task.answer_schema(target),
        truth_schema=task.truth_schema(target),
        limits={},
        git_commit=None,
        data_fingerprint="0" * 16,
        config={"seed": 1},
        packages={},
        examples=[_as_json(plain(RED))],
        metrics={"served": [{"name": "map50", "value": 1.0}]},
    )
    storage = open_storage(str(root / "storage"))
    registry.publish(storage, folder)
    registry.promote(storage, name, sealed.version)
    return sealed


def graph() -> onnx.ModelProto:
    weights = {
        "area": np.array([1, 2], np.int64),
        "line": np.array([1], np.int64),
        "ends": np.array([0, 2], np.int64),
        "white": np.array([255], np.float32),
        "middle": np.array([0.25, 0.25, 0.75, 0.75], np.float32),
    }
    nodes = [
        helper.make_node("Cast", [PIXELS], ["colours"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["colours", "area"], ["mean"], keepdims=0),
        helper.make_node("Div", ["mean", "white"], ["embedding"]),
        helper.make_node("Gather", ["embedding", "ends"], ["both"], axis=1),
        helper.make_node("Unsqueeze", ["both", "line"], ["scores"]),
        helper.make_node("Cast", [EXTENT], ["size"], to=TensorProto.FLOAT),
        helper.make_node("Concat", ["size", "size"], ["corners"], axis=1),
        helper.make_node("Mul", ["corners", "middle"], ["box"]),
        helper.make_node("Unsqueeze", ["box", "line"], ["boxes"]),
    ]
    read = [
        helper.make_tensor_value_info(PIXELS, TensorProto.UINT8, ["batch", READS, READS, 3]),
        helper.make_tensor_value_info(EXTENT, TensorProto.INT64, ["batch", 2]),
    ]
    shapes = {"boxes": [1, 4], "scores": [1, 2], "size": [2], "embedding": [3]}
    answered = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *shape]) for name, shape in shapes.items()
    ]
    made = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    model = helper.make_model(
        helper.make_graph(nodes, "colours", read, answered, made),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=10,
    )
    onnx.checker.check_model(model)
    return model
