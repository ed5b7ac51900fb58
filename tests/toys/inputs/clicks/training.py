"""Visits from files, and the network's part that reads them."""

import torch

from boatyard.inputs.arrays import ArrayTraining
from boatyard.inputs.clicks.serving import PAGES, Clicks
from boatyard.inputs.defaults import *  # noqa: F403

CLICKS = {"type": "array", "items": {"type": "string"}, "minItems": 1}
visits = ArrayTraining(Clicks(), {"clicks": CLICKS}, shown_as="counted pages")
row_format, request_schema = visits.row_format, visits.request_schema
open_encoder, simple_features = visits.open_encoder, visits.simple_features


class Backbone(torch.nn.Linear):
    width = property(lambda self: self.out_features)

    def forward(self, pages):
        return super().forward(pages).relu()


def build_backbone(shape, start):
    return Backbone(PAGES, shape["clicks"]["width"])
