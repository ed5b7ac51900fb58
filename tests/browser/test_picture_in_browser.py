"""A picture is dropped, answered and judged in a real browser."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
from frontends import HOSTILE_LABEL, FrontendProcess
from pictures import plain, publish_pictures
from servers import ServerProcess
from test_pages import journal

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

    Visit = Callable[..., Page]

pytestmark = [pytest.mark.browser, pytest.mark.slow]

COUNT_CAMERAS = """
window.cameras = 0;
const media = navigator.mediaDevices || {};
Object.defineProperty(navigator, "mediaDevices", {value: {...media, getUserMedia: () => {
    window.cameras += 1;
    return Promise.reject(new Error("no camera"));
}, enumerateDevices: () => Promise.resolve([])}});
"""


def told(root: "Path") -> dict[str, Any]:
    """By the last feedback."""
    *_, last = sorted((line for line in journal(root) if line["event"] == "feedback"), key=lambda line: line["time"])
    return dict(last["truth"])


def ask(page: "Page", picture: dict[str, Any]) -> None:
    """About a picture that has arrived: a script is faster than its upload."""
    from playwright.sync_api import expect

    page.locator("input[type=file]").first.set_input_files([picture])
    expect(page.get_by_test_id("stFileChipName")).to_have_text(picture["name"])
    expect(page.get_by_test_id("stFileChipIconSpinner")).to_have_count(0)
    page.get_by_role("button", name="Predict").click()


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> "Path":
    return tmp_path_factory.mktemp("pictures")


@pytest.fixture(scope="module")
def address(root: "Path") -> Iterator[str]:
    """Of the web page before a server of colours, of which one has a hostile name."""
    publish_pictures(root, classes=[HOSTILE_LABEL, "blue"])
    with ExitStack() as running:
        server = ServerProcess(root / "storage", root / "api.log", BOATYARD_MODEL="colours")
        api = running.enter_context(server)
        yield running.enter_context(FrontendProcess(root / "page.log", BOATYARD_API=api.url)).url


def test_a_picture_is_dropped_answered_at_another_score_and_judged(visit: "Visit", address: str, root: "Path") -> None:
    from playwright.sync_api import expect

    page = visit("about:blank")
    page.add_init_script(COUNT_CAMERAS)
    page.goto(address)
    sent = {"name": "a.png", "mimeType": "image/png", "buffer": plain((255, 0, 100), (400, 200))}
    ask(page, sent)
    expect(page.get_by_role("heading", name=f"1 {HOSTILE_LABEL}", exact=True)).to_be_visible()
    shown = page.get_by_test_id("stImage").locator("img")
    assert shown.evaluate("image => [image.complete, image.naturalWidth, image.naturalHeight]") == [True, 400, 200]
    assert page.evaluate("window.cameras") == 0
    page.get_by_text("Take a photo").click()
    page.wait_for_function("window.cameras > 0")
    slider = page.get_by_role("slider")
    for _ in range(3):
        slider.press("ArrowLeft")
    expect(page.get_by_role("heading", name=f"1 {HOSTILE_LABEL}, 1 blue", exact=True)).to_be_visible()
    page.get_by_role("button", name="No", exact=True).click()
    page.get_by_text("Only say that it is wrong").click()
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_text("It is kept that another answer is right.")).to_be_visible()
    assert told(root) == {"wrong": True}


def test_what_is_missing_is_drawn_and_named_and_what_is_wrong_is_removed(
    visit: "Visit", address: str, root: "Path"
) -> None:
    from playwright.sync_api import expect

    page = visit(address, viewport={"width": 390, "height": 844})
    sent = {"name": "a.png", "mimeType": "image/png", "buffer": plain((255, 0, 255), (400, 200))}
    ask(page, sent)
    page.get_by_role("button", name="No", exact=True).click()
    stage = page.locator(".marking svg")
    expect(stage.locator("text").first).to_have_text(HOSTILE_LABEL)
    stage.scroll_into_view_if_needed()
    place = stage.bounding_box()
    assert place is not None

    def move(across: float, down: float) -> None:
        page.mouse.move(place["x"] + across * place["width"], place["y"] + down * place["height"])

    move(0.2, 0.8)
    page.mouse.down()
    move(0.15, 0.7)
    move(0.1, 0.6)
    page.mouse.up()
    rows = page.locator(".marking li")
    rows.nth(2).get_by_role("combobox").select_option("blue")
    stage.press("ArrowRight")
    rows.nth(0).get_by_role("button", name="Remove").click()
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_text("It is kept that 2 blue is right.")).to_be_visible()
    found, drawn = told(root)["objects"]
    assert found == {"label": "blue", "box": [100, 50, 300, 150]}
    assert drawn["label"] == "blue"
    assert drawn["box"] == pytest.approx([44, 120, 84, 160], abs=2)
