"""tasks/detection: the head's boxes are where the targets are, and answers and feedback are in the picture's pixels."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from boatyard import tasks
from boatyard.bundle.manifest import BundleError
from boatyard.config.errors import UserError
from boatyard.inputs.image.backbone import Backbone
from boatyard.inputs.image.pictures import place_in_square
from boatyard.inputs.protocol import InvalidInput
from boatyard.model import look
from boatyard.tasks.detection import serving
from boatyard.tasks.detection.geometry import seen, to_maps
from boatyard.tasks.detection.head import DetectionHead, _at_cells, _found, tensor

pytestmark = pytest.mark.unit

CLASSES = ["boat", "buoy"]
EXTENTS = torch.tensor([[160, 160], [640, 480], [100, 300], [33, 32]])
BOXES = [[0, 40, 40, 80, 72], [1, 100, 80, 420, 300, 0, 200, 320, 500, 470], [], [1, 2, 2, 20, 30]]


def backbone(**shape: Any) -> Backbone:
    torch.manual_seed(0)
    return Backbone(**{"side": 160, "width": 4, "flips": "both", "zoom": 1, **shape})


def pixels(rows: int = 4) -> torch.Tensor:
    return torch.randint(0, 255, (rows, 160, 160, 3), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)


@pytest.mark.parametrize("size", [(160, 160), (640, 480), (100, 300), (33, 32), (4000, 90)])
def test_places_of_the_maps_are_those_of_the_letterbox(size: tuple[int, int]) -> None:
    places = backbone().eval().places(pixels(1), torch.tensor([size]))
    left, top, width, height = place_in_square(*size, 160)
    first, last = torch.tensor([left / 8, top / 8]), torch.tensor([(left + width) / 8, (top + height) / 8])
    assert (places["origin"] + places["step"] * first)[0].tolist() == pytest.approx([0, 0], abs=1e-3)
    assert (places["origin"] + places["step"] * last)[0].tolist() == pytest.approx(size, rel=1e-4)


def test_a_picture_that_is_mirrored_in_training_has_its_boxes_where_they_are_seen() -> None:
    net = backbone(flips="sideways").train()
    mark = torch.full((8, 160, 160, 3), 128, dtype=torch.uint8)
    mark[:, 40:60, 8:16] = 255
    places = net.places(mark, torch.tensor([[160, 160]] * 8))
    boxes = to_maps(torch.tensor([[[8.0, 40.0, 16.0, 60.0]]] * 8), places)
    turned = places["step"][:, 0] < 0
    assert 0 < turned.sum() < 8
    assert boxes[turned, 0].tolist() == [[18, 5, 19, 7.5]] * int(turned.sum())
    assert boxes[~turned, 0].tolist() == [[1, 5, 2, 7.5]] * int((~turned).sum())


def test_a_picture_that_lies_on_its_side_in_training_has_its_boxes_where_they_are_seen() -> None:
    net = backbone(flips="turned").train()
    mark = torch.full((16, 160, 160, 3), 128, dtype=torch.uint8)
    mark[:, 40:60, 8:16] = 255
    seen: list[torch.Tensor] = []
    net.maps.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    places = net.places(mark, torch.tensor([[160, 160]] * 16))
    boxes = to_maps(torch.tensor([[[8.0, 40.0, 16.0, 60.0]]] * 16), places)[:, 0]
    for picture, (left, top, right, bottom) in zip(seen[0], (8 * boxes).int().tolist(), strict=True):
        bright = picture.mean(0) > picture.mean()
        assert bright[top:bottom, left:right].all()
        assert bright.sum() == (bottom - top) * (right - left)
    assert 0 < places["turned"].sum() < 16


def test_a_picture_that_is_larger_or_smaller_in_training_has_its_boxes_where_they_are_seen() -> None:
    net = backbone(flips="turned", zoom=2).train()
    mark = torch.full((64, 160, 160, 3), 128, dtype=torch.uint8)
    mark[:, 40:72, 80:96] = 255
    seen: list[torch.Tensor] = []
    net.maps.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    places = net.places(mark, torch.tensor([[160, 160]] * 64))
    boxes = 8 * to_maps(torch.tensor([[[80.0, 40.0, 96.0, 72.0]]] * 64), places)[:, 0].clamp(0, 20)
    sizes = (boxes[:, 2:] - boxes[:, :2]).prod(-1)
    for picture, box, size in zip(seen[0], boxes, sizes.tolist(), strict=True):
        bright = picture.mean(0) > (picture.amax() + picture.amin()) / 2
        if size:
            across, down = bright.any(0).nonzero(), bright.any(1).nonzero()
            edges = [across[0], down[0], across[-1] + 1, down[-1] + 1]
            assert torch.cat(edges).tolist() == pytest.approx(box.tolist(), abs=1.01)
    assert sizes.min() < 16 * 32 / 2
    assert sizes.max() > 16 * 32 * 2


def test_a_box_that_training_cuts_is_learnt_as_far_as_it_is_seen_and_not_at_all_where_little_is() -> None:
    frame = {"extent": torch.tensor([[100, 100]]), "origin": torch.tensor([[50.0, 0.0]]), "step": torch.full((1, 2), 5)}
    targets = tensor([[0, 60, 10, 70, 20, 1, 40, 10, 70, 20, 2, 0, 10, 55, 20]])  # whole, cut by a third, nearly gone
    assert seen(targets, frame, 10, 10)[0, :3].tolist() == [[0, 2, 2, 4, 4], [1, 0, 2, 4, 4], [-1, 0, 2, 1, 4]]


def perfect(places: dict[str, torch.Tensor], targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Heat and sides of a network that knows the targets."""
    heat, sides = torch.full((4, 2, 20, 20), -9.0), torch.ones(4, 4, 20, 20)
    boxes = to_maps(targets[..., 1:], places)
    for row, objects in enumerate(targets):
        for number, each in enumerate(objects):
            if each[0] >= 0:
                left, top, right, bottom = boxes[row, number].tolist()
                column, line = int((left + right) / 2), int((top + bottom) / 2)
                heat[row, int(each[0]), line, column] = 9
                middle = column + 0.5, line + 0.5
                sides[row, :, line, column] = torch.tensor(
                    [middle[0] - left, middle[1] - top, right - middle[0], bottom - middle[1]]
                )
    return heat, sides


def test_what_the_loss_asks_for_is_what_is_answered() -> None:
    places, targets = backbone().eval().places(pixels(), EXTENTS), tensor(BOXES)
    heat, sides = perfect(places, targets)
    found = _found(heat, sides, places)
    for row, objects in enumerate(targets):
        known = {tuple(round(x) for x in each.tolist()) for each in objects if each[0] >= 0}
        sure = found[row][found[row, :, 1] > 0.9]
        assert {(int(each[0]), *(round(x) for x in each[2:].tolist())) for each in sure} == known
    head = DetectionHead(16, 2)
    right = {"heat": heat, "sides": sides, **places}
    wrong = {**right, "sides": torch.full_like(sides, 0.1)}
    assert head.loss(right, targets) < head.loss(wrong, targets) - 0.2


def test_a_box_on_a_better_one_of_its_class_is_not_answered() -> None:
    places = backbone().eval().places(pixels(1), EXTENTS[:1])
    heat, sides = torch.full((1, 2, 20, 20), -9.0), torch.full((1, 4, 20, 20), 5.0)
    heat[0, 0, 8, 8], heat[0, 0, 8, 10], heat[0, 1, 8, 10] = 3.0, 2.0, 1.0
    scores = _found(heat, sides, places)[0, :, :2]
    assert [int(number) for number, score in scores.tolist() if score > 0.5] == [0, 1]


def test_a_rows_answer_does_not_depend_on_its_batch() -> None:
    net, head = backbone().eval(), DetectionHead(16, 2).eval()
    with torch.inference_mode():
        together = head.served(head(net.places(pixels(), EXTENTS)))
        alone = [head.served(head(net.places(pixels()[row : row + 1], EXTENTS[row : row + 1]))) for row in range(4)]
    for place, whole in enumerate(together):
        assert torch.allclose(whole, torch.cat([each[place] for each in alone]), atol=1e-4)


def test_distances_from_a_cell_make_a_box_around_its_middle() -> None:
    box = _at_cells(torch.ones(1, 4, 2, 3))[0, 1, 2]
    assert box.tolist() == [1.5, 0.5, 3.5, 2.5]


def card(**target: Any) -> Any:
    return SimpleNamespace(name="x", target={"classes": CLASSES, "threshold": 0.4, **target})


OUTPUTS = {
    "boxes": np.array([[[1, 2, 30, 40], [5, 5, 9, 9.125]]], np.float32),
    "scores": np.array([[[0, 0.5], [0.25, 0]]], np.float32),
    "size": np.array([[160, 120]]),
}


def test_what_reaches_the_threshold_is_answered_the_most_certain_first() -> None:
    task = serving.open_task(card(), None)
    (answer,) = task.decode(OUTPUTS, serving.Options())
    assert answer["objects"] == [{"label": "buoy", "score": 0.5, "box": [1, 2, 30, 40]}]
    assert (answer["width"], answer["height"], answer["found"], answer["certainty"]) == (160, 120, 1, 0.5)
    (more,) = task.decode(OUTPUTS, serving.Options(threshold=0.1))
    assert [each["label"] for each in more["objects"]] == ["buoy", "boat"]
    (one,) = task.decode(OUTPUTS, serving.Options(threshold=0, most=1))
    assert one["found"] == 1


def test_feedback_is_the_list_of_right_boxes() -> None:
    task = serving.open_task(card(), None)
    (answer,) = task.decode(OUTPUTS, serving.Options(threshold=0.1))
    truth = task.parse_truth({"objects": [{"label": "buoy", "box": [1, 2, 30, 41]}]})
    assert task.loss(answer, truth) == pytest.approx(1 - 2 / 3)
    assert task.loss(answer, task.parse_truth({"objects": []})) == 1
    columns = {column.name: answer[column.name] for column in task.columns}
    assert task.loss(columns, truth) == pytest.approx(1 / 3), "the least that it can be"


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"objects": 1},
        {"objects": [], "more": 1},
        {"objects": [{"label": "ship", "box": [1, 1, 2, 2]}]},
        {"objects": [{"label": "boat", "box": [1, 1, 1, 2]}]},
        {"objects": [{}] * 1001},
    ],
)
def test_feedback_that_cannot_be_is_refused(payload: Any) -> None:
    with pytest.raises(InvalidInput):
        serving.open_task(card(), None).parse_truth(payload)


@pytest.mark.parametrize("target", [{"classes": []}, {"classes": [1]}, {"threshold": None}, {"threshold": 2}])
def test_a_bundle_without_classes_or_threshold_is_refused(target: dict[str, Any]) -> None:
    with pytest.raises(BundleError):
        serving.open_task(card(**target), None)


def test_the_threshold_is_the_one_that_does_best_on_validation() -> None:
    stored = np.array([np.array([1, 1, 2, 30, 40], np.float32), None], object)[:1]
    fitted = tasks.training("detection").fit_after(OUTPUTS, stored, {"classes": CLASSES}, None)
    assert 0.25 < fitted["threshold"] <= 0.5


def test_a_task_that_asks_where_refuses_an_input_without_places() -> None:
    with pytest.raises(UserError, match="have no places"):
        look(torch.nn.Linear(2, 2), DetectionHead(16, 2))


def test_an_answer_that_is_only_said_to_be_wrong_counts_as_all_wrong_and_teaches_nothing() -> None:
    task = serving.Detection(CLASSES, 0.5)
    truth = task.parse_truth({"wrong": True})
    assert task.loss({"objects": [], "found": 0, "certainty": 0.0}, truth) == 1
    assert tasks.training("detection").cell(truth) is None
