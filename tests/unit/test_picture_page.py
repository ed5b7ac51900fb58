"""inputs/image/page and tasks/detection/page: what was found is drawn on the picture, and marked as wrong."""

from typing import Any
from xml.etree import ElementTree

import pytest
from pictures import RED, plain
from PIL import Image
from standin_services import Services, content, drawn, open_page, running
from test_task_pages import TIME, press

from boatyard.inputs.image import page as picture_page
from boatyard.inputs.image.page import svg
from boatyard.inputs.image.serving import _as_json

pytestmark = pytest.mark.unit

HOSTILE = '"><script>alert(1)</script>&\0\ud800'
BOAT = {"label": "boat", "score": 0.9, "box": [4, 2, 20, 10]}
BUOY = {"label": "buoy", "score": 0.6, "box": [0, 0, 4, 4]}
ANSWER = {**TIME, "objects": [BOAT, BUOY], "width": 40, "height": 20, "found": 2, "certainty": 0.75}


def test_a_name_is_text_in_the_picture_whatever_it_says() -> None:
    mark = {"name": HOSTILE, "score": 0.5, "left": 0.1, "top": 0.1, "right": 0.5, "bottom": 0.5}
    root = ElementTree.fromstring(svg(Image.new("RGB", (40, 20)), [mark]))  # noqa: S314 - it is our own
    (text,) = root.findall("{*}text")
    assert text.text == '"><script>alert(1)</script>&\ufffd\ufffd 50%'
    assert {element.tag.rpartition("}")[2] for element in root.iter()} == {"svg", "image", "rect", "text"}
    frame = root.find("{*}rect")
    assert frame is not None
    assert [float(frame.attrib[edge]) for edge in ("x", "y", "width", "height")] == [4, 2, 16, 8]


def services() -> Services:
    made = Services()
    card: dict[str, Any] = {
        "name": "harbour",
        "version": "v",
        "input": "image",
        "task": "detection",
        "limits": {},
        "target": {"classes": ["boat", "buoy"], "threshold": 0.4},
        "examples": [_as_json(plain(RED))],
    }
    listed = {"models": [{"name": "harbour", "versions": ["w", "v"], "aliases": {}}]}
    other = {**card, "version": "w"}
    made.answers = {"/model": card, "/models": listed, "/models/harbour/w": other}
    made.answers |= {"/predict": ANSWER, "/feedback": {"id": "1"}}
    return made


def test_an_example_is_answered_and_asked_again_at_another_score_and_put_right(monkeypatch: pytest.MonkeyPatch) -> None:
    made = services()
    with running(made):
        page = open_page("predict")
        assert "2 classes, version v" in content(page)
        page.button(key="example-0").click()
        drawn(page.run())
        assert "1 boat, 1 buoy" in content(page)
        drawn(page.slider[0].set_value(0.5).run())
        assert [path for path, _ in made.posted] == ["/predict", "/predict?threshold=0.5"]
        press(page, "No")
        press(page, "Send")
        assert "Say first what would be right." in content(page)
        drawn_boat = {"name": "boat", "left": 0.1, "top": 0.1, "right": 0.5, "bottom": 0.5}
        monkeypatch.setattr(picture_page, "correct_marks", lambda *_: [drawn_boat])
        press(page, "Send")
        assert made.posted[-1] == ("/feedback", {"id": "1", "objects": [{"label": "boat", "box": [4, 2, 20, 10]}]})
        assert "It is kept that 1 boat is right." in content(page)


def test_an_answer_may_only_be_said_to_be_wrong() -> None:
    made = services()
    with running(made):
        page = open_page("predict")
        page.button(key="example-0").click()
        drawn(page.run())
        press(page, "No")
        page.checkbox[-1].check()
        press(page, "Send")
        assert made.posted[-1] == ("/feedback", {"id": "1", "wrong": True})


def test_another_version_is_asked_the_same_and_shown_beside() -> None:
    made = services()
    with running(made):
        page = open_page("predict")
        page.multiselect[0].select("harbour@w")
        page.button(key="example-0").click()
        drawn(page.run())
        assert [path for path, _ in made.posted] == ["/predict", "/predict?model=harbour%40w"]
        assert content(page).count("1 boat, 1 buoy") == 2
        made.answers["/models/harbour/w"] = {**made.answers["/model"], "input": "text"}
        page.button(key="example-0").click()
        page.run()
        assert [warning.value for warning in page.warning] == ["It reads something else\\."]
        del made.answers["/models/harbour/w"]
        page.button(key="example-0").click()
        page.run()
        assert "404" in page.warning[0].value
        assert content(page).count("1 boat, 1 buoy") == 1
