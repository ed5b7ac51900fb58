"""The sentence that names a training's bottleneck follows from the figures."""

import re
from typing import Any

import pytest

from boatyard.train.profile.measure import BACKWARD, DATA, FORWARD, OPTIMISER, REST, Profile
from boatyard.train.profile.report import bottleneck, throughput

pytestmark = pytest.mark.unit


def profile(**changes: Any) -> Profile:
    """A second of each part, and no padding."""
    facts: dict[str, Any] = {
        "device": "cpu",
        "steps": 50,
        "parts": dict.fromkeys((DATA, FORWARD, BACKWARD, OPTIMISER, REST), 1.0),
        "rows": 1600,
        "cost": 16000,
        "cost_unit": "tokens",
        "slots": 16000,
        "sampling": "random",
        "workers": 0,
    }
    parts = facts["parts"] | changes.pop("parts", {})
    return Profile(**(facts | changes | {"parts": parts}))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"parts": {DATA: 6.0}}, r"waiting for data, 60% of a step: train\.dataloader_num_workers=2"),
        ({"parts": {DATA: 6.0}, "workers": 4}, r"more than train\.dataloader_num_workers=4"),
        ({}, r"forward and backward pass, 40% of a step: the device's matrix multiplication is the limit"),
        ({"cost": 8000}, r"50% of what it reads is padding, .*train_sampling_strategy=group_by_length"),
        ({"cost": 8000, "sampling": "group_by_length"}, "matrix multiplication is the limit"),
        ({"parts": {OPTIMISER: 6.0}}, r"the optimiser, 60% of a step: .*train\.gradient_accumulation_steps"),
        ({"parts": {REST: 6.0}}, r"the Trainer's own work, 60% of a step"),
    ],
)
def test_the_bottleneck_is_what_takes_longest_and_comes_with_the_setting_that_helps(
    changes: dict[str, Any], sentence: str
) -> None:
    assert re.search(sentence, bottleneck(profile(**changes)))


def test_throughput_is_in_rows_and_in_what_the_input_counts() -> None:
    measured = profile(cost=8000, cost_unit="pixels")
    assert throughput(measured).startswith("320 rows and 1,600 pixels a second; 50.0% ")


def test_rows_that_cost_the_same_are_counted_once() -> None:
    assert throughput(profile(cost=1600, cost_unit="rows")).startswith("320 rows a second; ")
