"""What people say of answers to pictures becomes rows to learn from, whatever is asked of them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from bundles import QUANTILES
from pictures import BLUE, RED, plain

from boatyard import inputs, tasks
from boatyard.bundle.manifest import Card
from boatyard.config.compose import load_config
from boatyard.config.schema import Data
from boatyard.data.stored import as_stored, write_rows
from boatyard.inputs.image.serving import FIELD, ImageInput, SentPicture, _as_json
from boatyard.inputs.training_protocol import EXTENT, TARGET, Problem
from boatyard.retrain.feedback import Feedback, Judged, collect, open_reader, splits_by_key

pytestmark = pytest.mark.unit

BOAT = {"label": "boat", "box": [4.0, 2.0, 30.0, 18.0]}
TASKS: list[tuple[str, dict[str, Any], dict[str, Any], Any]] = [
    ("detection", {"classes": ["boat"], "threshold": 0.5}, {"objects": [BOAT]}, [BOAT]),
    ("detection", {"classes": ["boat"], "threshold": 0.5}, {"objects": []}, []),
    ("classification", {"labels": ["cat", "dog"]}, {"label": "dog"}, "dog"),
    ("regression", {"log": False, "quantiles": QUANTILES, "buckets": []}, {"value": 3.5}, 3.5),
]


def data_of(task: str) -> Data:
    own = ["data=detect"] if task == "detection" else ["data=images", f"data.task={task}"]
    return load_config([*own, "data.path=pictures", "data.name=pictures"]).data


def read(
    data: Data, target: dict[str, Any], judged: Sequence[tuple[bytes, dict[str, Any]]], known: Sequence[bytes] = ()
) -> Feedback:
    card = Card.model_construct(name="pictures", task=data.task, target=target)
    reader = open_reader(data, [FIELD], ImageInput(32), tasks.serving(data.task).open_task(card, None))
    lines: list[dict[str, Any]] = []
    for number, (content, truth) in enumerate(judged):
        facts = {"id": f"a{number}", "time": "2026-01-01T00:00:00.000+00:00"}
        lines += [
            {"event": "prediction", "model": "pictures", "request": _as_json(content), **facts},
            {"event": "feedback", "truth": truth, **facts},
        ]
    splits = splits_by_key(inputs.training("image"), {"test": [(content,) for content in known]})
    return collect(lambda: lines, "pictures", reader, splits, holdout=0.0)


@pytest.mark.parametrize(("task", "target", "truth", "cell"), TASKS, ids=[each[0] for each in TASKS])
def test_a_judged_picture_is_read_again_as_it_was_sent_with_what_was_said_of_it(
    task: str, target: dict[str, Any], truth: dict[str, Any], cell: Any, tmp_path: Path
) -> None:
    data = data_of(task)
    ((row, kept),) = read(data, target, [(plain(RED), truth)]).train
    assert (row, kept) == ((plain(RED),), truth)
    write_rows(tmp_path / "train.jsonl", data, [FIELD], [(row, tasks.training(task).cell(kept))])
    written = json.loads((tmp_path / "train.jsonl").read_text())
    assert written[TARGET] == cell
    stored = as_stored(data, str(tmp_path))
    assert inputs.training("image").row_format(stored).read(written) == row
    target_again = tasks.training(task).open_targets(stored).read({**written, EXTENT: (40, 20)})
    assert not isinstance(target_again, Problem)


def test_what_is_kept_of_a_judged_picture_is_its_file_and_not_its_squares() -> None:
    judged: list[Judged] = read(data_of("classification"), {"labels": ["a", "b"]}, [(plain(RED), {"label": "a"})]).train
    ((content,), _), *_ = judged
    assert not isinstance(content, SentPicture)


def test_a_picture_without_right_boxes_or_with_one_beside_it_is_set_aside() -> None:
    beside = {"objects": [{"label": "boat", "box": [300, 0, 320, 10]}]}
    feedback = read(
        data_of("detection"),
        {"classes": ["boat"], "threshold": 0.5},
        [(plain(RED), {"wrong": True}), (plain(BLUE), beside), (plain((0, 255, 0)), {"objects": [BOAT]})],
    )
    assert [row for row, _ in feedback.train] == [(plain((0, 255, 0)),)]
    assert sorted(feedback.set_aside.values()) == [1, 1]


def test_a_picture_of_the_test_split_is_not_learned() -> None:
    feedback = read(data_of("classification"), {"labels": ["a", "b"]}, [(plain(RED), {"label": "a"})], [plain(RED)])
    assert not feedback.train
    assert feedback.set_aside == {"in the test split already": 1}
