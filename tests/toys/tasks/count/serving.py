"""Answers with the count that is expected."""

import numpy as np

from boatyard.inputs.protocol import InvalidInput
from boatyard.journal.columns import Column
from boatyard.tasks.one_number import *  # noqa: F403
from boatyard.tasks.score import mean_score

OUTPUTS = ("rate",)


def deviance(rate, count):
    return 2 * (count * np.log(np.maximum(count, 1) / rate) - count + rate)


class Count:
    columns = (Column("expected", "the expected count", group="prediction", buckets=(0, 1, 2, 5, 10)),)

    def decode(self, outputs, options):
        return [{"expected": rate} for rate in outputs["rate"].tolist()]

    def parse_truth(self, payload):
        if payload.keys() != {"count"} or type(payload["count"]) is not int or not 0 <= payload["count"] < 10**9:
            raise InvalidInput('feedback has a "count", a whole number from 0 on', "/count")
        return dict(payload)

    def loss(self, answer, truth):
        return float(deviance(answer["expected"], truth["count"]))

    def score(self, losses):
        return mean_score("deviance", losses)

    def explained(self, outputs, answer):
        return outputs["rate"]


def open_task(card, folder):
    return Count()


def answer_schema(target):
    return {"type": "object", "properties": {"expected": {"type": "number"}}, "required": ["expected"]}


def truth_schema(target):
    return {"type": "object", "properties": {"count": {"type": "integer", "minimum": 0}}, "required": ["count"]}
