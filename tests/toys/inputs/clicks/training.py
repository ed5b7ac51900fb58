"""Visits from files to a network's features."""

import pyarrow as pa
import torch
from sklearn.preprocessing import FunctionTransformer

from boatyard.inputs.clicks.serving import PAGES, Clicks, InvalidInput
from boatyard.inputs.defaults import *  # noqa: F403
from boatyard.inputs.protocol import Problem


def fields(data):
    return {"clicks": pa.list_(pa.string())}


def read(cells, data):
    try:
        return Clicks().parse(cells)
    except InvalidInput as wrong:
        return Problem("no_visit", "clicks", f"cannot be read: {wrong.detail}")


def request_schema(fields):
    clicks = {"type": "array", "items": {"type": "string"}, "minItems": 1}
    return {"type": "object", "properties": {"clicks": clicks}, "required": ["clicks"]}


class Encoder:
    def encode(self, rows):
        pages = Clicks().collate(Clicks().encode(rows))["pages"]
        return {"pages": pa.array(list(pages)), "cost": pa.array([1] * len(rows), pa.int32())}

    def collate(self, items):
        return {"pages": torch.tensor([item["pages"] for item in items])}


def open_encoder(folder):
    return Encoder()


class Backbone(torch.nn.Linear):
    width = property(lambda self: self.out_features)

    def forward(self, pages):
        return super().forward(pages).relu()

    def shape(self):
        return {"width": self.width}


def build_backbone(model, folder):
    return Backbone(PAGES, model.clicks.width)


def restore_backbone(shape):
    return Backbone(PAGES, shape["width"])


def export_graph(network, outputs, graph):
    names = {"input_names": ["pages"], "output_names": list(outputs)}
    axes = {name: {0: "batch"} for name in ["pages", *outputs]}
    torch.onnx.export(network, (torch.zeros(2, PAGES),), str(graph), **names, dynamic_axes=axes, dynamo=False)


class SimpleFeatures:
    most_rows = most_cost = 100_000

    def cost(self, rows):
        return len(rows)

    def features(self, *, rich):
        counts = FunctionTransformer(lambda rows: Clicks().collate(Clicks().encode(rows))["pages"])
        return counts, "how often each page was clicked on"


def simple_features():
    return SimpleFeatures()
