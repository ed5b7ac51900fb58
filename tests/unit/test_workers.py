"""Work in order, alone or by several processes; batches that do not show who made them."""

import os

import numpy as np
import pyarrow as pa
import pytest

from boatyard.data import workers
from boatyard.data.batches import in_batches
from boatyard.data.workers import in_order
from boatyard.inputs.samples import spread, take_rows

pytestmark = pytest.mark.unit


def doubler(twice: int) -> object:
    return lambda thing: twice * thing


def test_what_takes_no_second_is_done_by_this_process_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "ProcessPoolExecutor", None)
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    assert list(in_order(doubler, (2,), range(100))) == list(range(0, 200, 2))


@pytest.mark.parametrize(("said", "expected"), [("", 4), ("1", 1), ("3", 3), ("64", 4), ("0", 4), ("4,2", 4)])
def test_omp_num_threads_bounds_the_workers_and_the_cores_do(
    said: str, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "allowed_cores", lambda: 4)
    monkeypatch.setenv("OMP_NUM_THREADS", said)
    assert workers._workers() == expected
    monkeypatch.setattr(os, "environ", {})
    assert workers._workers() == 4


@pytest.mark.parametrize("pieces", [[23], [1] * 23, [3, 0, 19, 1]])
def test_batches_are_the_same_wherever_pieces_begin(pieces: list[int]) -> None:
    numbers = pa.record_batch({"number": range(sum(pieces)), "file": [b"x" * (n % 7) for n in range(sum(pieces))]})
    starts = [sum(pieces[:place]) for place in range(len(pieces))]
    cut = [numbers.slice(start, length) for start, length in zip(starts, pieces, strict=True)]
    assert [batch.num_rows for batch in in_batches(cut, 10)] == [10, 10, 3]
    by_size = list(in_batches(cut, 10, 12))  # of more than 12 bytes with the last row, never before it
    assert [batch.num_rows for batch in by_size] == [6, 6, 5, 4, 2]
    assert pa.Table.from_batches(by_size).equals(pa.Table.from_batches([numbers]))


def test_few_rows_are_taken_in_any_order_from_many_batches() -> None:
    rows = pa.Table.from_batches([pa.record_batch({"n": range(start, start + 5)}) for start in (0, 5, 10)])
    places = np.array([12, 3, 4, 5, 0])
    assert take_rows(rows, places)["n"].to_pylist() == places.tolist()
    assert spread(rows, 4)["n"].to_pylist() == [0, 4, 9, 14]
    assert spread(rows, 20) is rows
    assert len(spread(rows.slice(0, 0), 4)) == 0
