"""tasks/detection: which boxes are taken, and how good found ones are."""

from typing import Any

import numpy as np
import pytest

from boatyard.tasks.detection.boxes import WrongBox, overlaps, read_objects
from boatyard.tasks.detection.matching import NONE, Found, There, f1, matched
from boatyard.tasks.detection.precision import AREAS, average_precisions, bootstrap, matches, mean_precisions

pytestmark = pytest.mark.unit

EXTENT = (100.0, 50.0)
CAT = [10, 10, 30, 30]


def objects(*boxes: Any, label: str = "cat") -> list[dict[str, Any]]:
    return [{"label": label, "box": box} for box in boxes]


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ([10, 10, 10, 30], "has no area"),
        ([10, 10, 10.003, 30], "has no area"),
        ([30, 10, 10, 30], "corners swapped"),
        ([10, 10, 120, 30], "reaches 20 pixels out"),
        ([200, 10, 205, 20], "reaches 105 pixels out"),
        ([10, 10, 30], "four numbers"),
        ([10, 10, 30, "x"], "four numbers"),
        ([10, 10, 30, float("nan")], "four numbers"),
    ],
)
def test_a_box_that_cannot_be_is_named(box: Any, message: str) -> None:
    with pytest.raises(WrongBox, match=f"^object 2 .*{message}"):
        read_objects(objects(CAT, box), EXTENT)


def test_a_box_without_a_label_is_named_by_its_line_where_it_has_one() -> None:
    with pytest.raises(WrongBox, match="the box in row 7 has no label"):
        read_objects([{"label": " ", "box": CAT, "row": 7}], EXTENT)


def test_a_box_that_reaches_out_a_little_is_clipped_and_beyond_a_pixel_that_is_said() -> None:
    silent = read_objects(objects([-0.5, 0, 20, 20]), EXTENT)
    assert silent.boxes.tolist() == [[0, 0, 20, 20]]
    assert not silent.remarks
    said = read_objects(objects([-4, 0, 20, 20]), EXTENT)
    assert said.boxes.tolist() == [[0, 0, 20, 20]]
    assert "object 1 (cat) reaches 4 pixels out" in said.remarks[0][1]


def test_one_thing_marked_twice_is_kept_once_unless_the_labels_differ() -> None:
    twice = read_objects([*objects(CAT, [10, 10, 30, 30.5]), *objects(CAT, label="dog")], EXTENT)
    assert twice.labels == ["cat", "dog"]
    assert "object 2 (cat) repeats object 1" in twice.remarks[0][1]


def boxes(*each: list[float]) -> Any:
    return np.array(each, np.float32).reshape(-1, 4)


def test_overlap_is_the_shared_part_of_both() -> None:
    assert overlaps(boxes([0, 0, 2, 2]), boxes([1, 0, 3, 2], [5, 5, 6, 6])) == pytest.approx(np.array([[1 / 3, 0]]))


def test_a_true_box_is_found_once() -> None:
    found = boxes([0, 0, 10, 10], [0, 0, 10, 9], [50, 50, 60, 60])
    assert matched(overlaps(found, boxes([0, 0, 10, 10])), 0.5).tolist() == [0, NONE, NONE]


def test_f1_of_a_picture_counts_what_is_right_of_both() -> None:
    there = boxes([0, 0, 10, 10], [20, 20, 30, 30])
    assert f1(there, ["a", "b"], there, ["a", "b"]) == 1
    assert f1(there, ["a", "a"], there, ["a", "b"]) == 0.5
    assert f1(boxes(), [], boxes(), []) == 1
    assert f1(boxes(), [], there, ["a", "b"]) == 0


def of_picture(random: np.random.Generator) -> tuple[Found, There]:
    """Some things, found or not, once or more, and some that are not there."""
    true = random.uniform(0, 400, (random.integers(0, 12), 2))
    true = np.hstack([true, true + random.choice([20, 60, 150], (len(true), 1)) * random.uniform(0.6, 1.4, true.shape)])
    classes = random.integers(0, 4, len(true))
    times = random.integers(0, 3, len(true))
    near, wrong = np.repeat(true, times, 0), random.uniform(0, 400, (random.integers(0, 4), 2))
    found = np.vstack([near + random.normal(0, 8, near.shape), np.hstack([wrong, wrong + 40])])
    found[:, 2:] = np.maximum(found[:, 2:], found[:, :2] + 1)
    of_found = np.concatenate([np.repeat(classes, times), random.integers(0, 4, len(wrong))])
    scores = random.random(len(found))
    order = np.argsort(-scores)
    return Found(found[order], of_found[order], scores[order]), There(true, classes)


def test_average_precisions_are_those_of_cocos_own_program() -> None:
    evaluation = pytest.importorskip("faster_coco_eval")
    random = np.random.default_rng(0)
    pairs = [of_picture(random) for _ in range(40)]

    def annotations(of: int) -> list[dict[str, Any]]:
        rows = []
        for image, pair in enumerate(pairs, 1):
            scores = getattr(pair[of], "scores", np.ones(len(pair[of].boxes)))
            for (left, top, right, bottom), number, score in zip(pair[of].boxes, pair[of].classes, scores, strict=True):
                box = [left, top, right - left, bottom - top]
                rows.append({"image_id": image, "category_id": int(number) + 1, "bbox": box, "score": float(score)})
        return rows

    truths = [
        {**row, "id": number, "area": row["bbox"][2] * row["bbox"][3], "iscrowd": 0}
        for number, row in enumerate(annotations(1), 1)
    ]
    images = [{"id": number, "width": 640, "height": 640} for number in range(1, len(pairs) + 1)]
    categories = [{"id": number, "name": str(number)} for number in range(1, 5)]
    known = evaluation.COCO({"images": images, "annotations": truths, "categories": categories})
    theirs = evaluation.COCOeval_faster(known, known.loadRes(annotations(0)), "bbox")
    theirs.evaluate()
    theirs.accumulate()
    theirs.summarize()
    found, there = [found for found, _ in pairs], [there for _, there in pairs]
    ours = average_precisions(matches(found, there, 4))
    assert mean_precisions(ours) == pytest.approx((theirs.stats[1], theirs.stats[0]), abs=1e-9)
    for place, areas in enumerate(AREAS.values(), 3):
        of_size = mean_precisions(average_precisions(matches(found, there, 4, areas=areas)))
        assert of_size[1] == pytest.approx(theirs.stats[place], abs=1e-9)


def test_the_interval_of_an_average_precision_is_that_of_the_choice_of_pictures() -> None:
    random = np.random.default_rng(1)
    found, there = zip(*(of_picture(random) for _ in range(40)), strict=True)
    of_classes = matches(found, there, 4)
    (map50, _), ends = mean_precisions(average_precisions(of_classes)), bootstrap(of_classes)
    assert ends[0, 0] < map50 < ends[0, 1]
    assert 0.02 < ends[0, 1] - ends[0, 0] < 0.3
    once = average_precisions(of_classes)
    twice = np.array([each.average_precisions(np.full(40, 2.0)) for each in of_classes])
    assert once == pytest.approx(twice), "each picture counts as often as another"
