"""Visits from files, and the network's part that reads them."""

import pyarrow as pa
import torch

from boatyard.inputs.arrays import ArrayEncoder, ArrayFeatures
from boatyard.inputs.clicks.serving import PAGES, Clicks
from boatyard.inputs.defaults import *  # noqa: F403
from boatyard.inputs.defaults import reader_as_served
from boatyard.inputs.graphs import quantize_graph, write_graph  # noqa: F401
from boatyard.inputs.sources import open_tables


def fields(data):
    return {"clicks": pa.list_(pa.string())}


def columns(data):
    return ["clicks"]


def open_sources(data, others, cache):
    return open_tables(data, ["clicks", *others], cache, "data.target")


def reader(data):
    return reader_as_served(Clicks(), "clicks")


def request_schema(fields):
    clicks = {"type": "array", "items": {"type": "string"}, "minItems": 1}
    return {"type": "object", "properties": {"clicks": clicks}, "required": ["clicks"]}


def open_encoder(folder):
    return ArrayEncoder(Clicks())


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
    write_graph(network, {"pages": torch.zeros(2, PAGES)}, outputs, graph)


def simple_features():
    return ArrayFeatures(Clicks(), "counted pages")
