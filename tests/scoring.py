"""Scoring in this process, one slice after another: all but Ray is real."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any
from unittest import mock

import pyarrow as pa
import pyarrow.dataset as ds
import pytest

from boatyard.bundle.manifest import Manifest
from boatyard.bundle.predict import Predictor
from boatyard.config.cli import run
from boatyard.score.files import Forms
from boatyard.score.plan import Plan, Task
from boatyard.score.slices import Cut, cut
from boatyard.score.work import Done, Places, Worker
from boatyard.storage import open_storage


@contextmanager
def without_ray() -> Iterator[None]:
    cluster = pytest.importorskip("boatyard.score.cluster")

    def cut_files(task: Task, manifest: Manifest, places: Places, indices: Sequence[int]) -> list[Cut]:
        rows, required = open_storage(places.rows), manifest.request_schema.get("required", [])
        return [cut(rows, task.files[index], index, Forms(manifest), task.block, required) for index in indices]

    def work(plan: Plan, places: Places, numbers: Sequence[int], actors: int | None) -> Iterator[Done]:  # noqa: ARG001
        yield from map(Worker(plan, places).work, numbers)

    with mock.patch.multiple(cluster, joined=nullcontext, cut_files=cut_files, work=work):
        yield


def score_here(storage: Path, rows: Path | str, out: Path, *words: str) -> int:
    """The exit status."""
    with without_ray():
        from boatyard.score.run import score

        model = [] if any(word.startswith("score.model=") for word in words) else ["score.model=ferry"]
        places = [f"paths.storage={storage}", f"score.rows={rows}", f"score.out={out}"]
        return run("score", "", score, [*places, *model, *words])


def answers(out: Path) -> pa.Table:
    """All blocks, in the order of their names."""
    return ds.dataset(sorted(out.glob("part-*"))).to_table()


def assert_as_predicted(answered: pa.Table, predictor: Predictor, requests: Sequence[Any]) -> None:
    """The last columns are a request's answer, value for value."""
    predictions = predictor.answer([predictor.input.parse(request) for request in requests])
    version = predictor.manifest.version
    for row, prediction in zip(answered.to_pylist(), predictions, strict=True):
        own = {name: row[name] for name in prediction.answer}
        for name, value in prediction.answer.items():
            if isinstance(own[name], str) and not isinstance(value, str):  # no type of a column holds it
                own[name] = json.loads(own[name])
        assert own == prediction.answer
        assert row.get("name") == prediction.name
        assert (row["truncated"], row["version"], row["error"]) == (prediction.truncated, version, None)
    last = [*predictions[0].answer, "truncated", "version", "error"]
    assert answered.column_names[-len(last) :] == last
