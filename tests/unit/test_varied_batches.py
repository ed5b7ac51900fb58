"""Batches that an input varies: new in each epoch, the same again when a run is resumed."""

import sys

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from boatyard.inputs.training_protocol import TARGET
from boatyard.train.assembly import Batches
from boatyard.train.trainer import POSITION


class Encoder:
    def collate(self, items):
        return {"x": torch.tensor([item["x"] for item in items])}


def vary(items, random):
    return [*({**item, "x": float(random.random())} for item in items), {"x": 9.0, TARGET: 1}]


def batches(seed: int = 1) -> Batches:
    return Batches(Encoder(), torch.tensor, vary, seed)


ROWS = [{"x": 1.0, TARGET: 0, POSITION: 4}, {"x": 2.0, TARGET: 0, POSITION: 7}]


def test_what_a_batch_becomes_follows_from_the_seed_the_epoch_and_its_rows() -> None:
    collate = batches()
    first = collate(ROWS)
    assert torch.equal(batches()(ROWS)["x"], first["x"])
    collate.epoch = 1
    others = [collate(ROWS), batches(seed=2)(ROWS), batches()([{**row, POSITION: row[POSITION] + 1} for row in ROWS])]
    assert len({float(batch["x"][0]) for batch in [first, *others]}) == 4


def test_rows_that_the_input_adds_have_targets_and_no_place() -> None:
    batch = batches()(ROWS)
    assert batch["labels"].tolist() == [0, 0, 1]
    assert batch[POSITION].tolist() == [4, 7]


def test_rows_that_are_validated_stay_as_they_are() -> None:
    batch = batches()([{key: value for key, value in row.items() if key != POSITION} for row in ROWS])
    assert np.array_equal(batch["x"], [1.0, 2.0])
    assert POSITION not in batch


@pytest.mark.skipif(sys.platform != "linux", reason="forks")
def test_workers_that_outlive_an_epoch_are_told_of_the_next() -> None:
    collate = batches()
    kept = {"num_workers": 1, "persistent_workers": True, "multiprocessing_context": "fork"}
    loader = DataLoader(ROWS, batch_size=2, collate_fn=collate, **kept)
    for epoch in (0, 1):
        collate.epoch = epoch
        (batch,) = loader
        here = batches()
        here.epoch = epoch
        assert torch.equal(batch["x"], here(ROWS)["x"])
