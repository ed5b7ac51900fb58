"""The map of a model and of a job: classes lie apart, and a row lies where it lay when the map was made."""

from xml.etree import ElementTree

import numpy as np
import pytest
from pydantic_core import to_json

from boatyard.api.jobs.map import draw, placed
from boatyard.bundle.map import Map, Point
from boatyard.tasks.classification.map import fit_map

pytestmark = pytest.mark.unit

RANDOM = np.random.default_rng(0)
SVG = "{http://www.w3.org/2000/svg}"


def embeddings(classes: int, each: int = 50, width: int = 16) -> tuple[np.ndarray, np.ndarray]:
    centres = RANDOM.normal(size=(classes, width)) * 5
    targets = np.repeat(np.arange(classes), each)
    return (centres[targets] + RANDOM.normal(size=(len(targets), width))).astype(np.float32), targets


@pytest.mark.parametrize("classes", [1, 2, 3, 6])
def test_a_plane_has_two_directions_at_right_angles_whatever_the_number_of_classes(classes: int) -> None:
    vectors, targets = embeddings(classes)
    fitted = fit_map(vectors, targets, {"labels": list("abcdef")})
    assert fitted is not None
    assert np.allclose(np.array(fitted.axes) @ np.array(fitted.axes).T, np.eye(2), atol=1e-9)
    read = Map.model_validate_json(fitted.model_dump_json())
    assert np.allclose(read.places(vectors), [(point.x, point.y) for point in read.points], atol=1e-4)
    assert [point.kind for point in read.points] == ["abcdef"[target] for target in targets]


@pytest.mark.parametrize("classes", [2, 3])
def test_classes_lie_further_apart_than_rows_of_one(classes: int) -> None:
    vectors, targets = embeddings(classes)
    fitted = fit_map(vectors, targets, {"labels": list("abc")})
    assert fitted is not None
    places = fitted.places(vectors)
    middles = np.array([places[targets == each].mean(axis=0) for each in range(classes)])
    nearest = np.linalg.norm(places[:, None] - middles, axis=2).argmin(axis=1)
    assert (nearest == targets).all()


def test_a_line_has_no_plane() -> None:
    assert fit_map(np.ones((5, 1), np.float32), np.zeros(5, int), {"labels": ["a"]}) is None
    assert fit_map(np.ones((1, 4), np.float32), np.zeros(1, int), {"labels": ["a"]}) is None


MODEL = Map(
    origin=[0, 0], axes=([1, 0], [0, 1]), kind="label", points=[Point(0, 0, "<a>"), Point(1, 1, "b"), Point(0, 0, "b")]
)


def drawn(rows: int, *lines: dict[str, object]) -> ElementTree.Element:
    return ElementTree.fromstring(draw(MODEL, rows, [to_json(line) + b"\n" for line in lines]))  # noqa: S314


def titles(picture: ElementTree.Element) -> list[str | None]:
    return [title.text for title in picture.iterfind(f"{SVG}circle/{SVG}title")]


def test_a_picture_names_each_row_and_what_it_is() -> None:
    picture = drawn(2, placed(1, Point(0.5, 2, "b"), "<x>"), placed(7, Point(-3, 0, "c"), None))
    assert titles(picture) == ["<a>", "b", "b", "<x>: b", "row 7: c"]
    assert [text.text for text in picture.iterfind(f"{SVG}text")] == [
        "b",
        "<a>",
        "2 rows; pale: what the model was made with",
    ]
    circles = [circle for circle in picture.iterfind(f"{SVG}circle") if len(circle)]
    assert all(
        0 <= float(circle.get("cx", "")) <= 900 and 0 <= float(circle.get("cy", "")) <= 540 for circle in circles
    )
    assert circles[3].get("fill") == circles[1].get("fill") != circles[4].get("fill")


def test_of_more_rows_than_can_be_told_apart_some_are_drawn_from_all_over() -> None:
    picture = drawn(20_000, *(placed(row, Point(row, 0, "b"), None) for row in range(1, 20_001)))
    assert len(titles(picture)) == len(MODEL.points) + 5_000
    assert titles(picture)[-1] == "row 19997: b"
