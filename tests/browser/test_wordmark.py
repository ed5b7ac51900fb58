"""The name beside the mark: whole, whatever it is and whichever font a machine has for it."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from boatyard.frontend.mark import wordmark

if TYPE_CHECKING:
    from frontends import Stack
    from playwright.sync_api import Page

    Visit = Callable[..., Page]

pytestmark = pytest.mark.browser

FONTS = ["sans-serif", "serif", "monospace", "cursive", "DejaVu Sans", "Liberation Sans"]


def test_the_name_lies_within_the_picture_in_any_font(visit: "Visit") -> None:
    page = visit("about:blank")
    for name in ("Boatyard", "Lighthousekeeper", "Mammothworkswimmer", "Illit", "A & B <i>"):
        page.set_content(wordmark(name))
        for font in FONTS:
            left, right, width, share = page.evaluate(
                """font => {
                    const text = document.querySelector("text"), fitted = text.textLength.baseVal.value
                    text.setAttribute("font-family", font)
                    const box = text.getBBox()
                    text.removeAttribute("textLength")
                    const natural = text.getComputedTextLength()
                    text.setAttribute("textLength", fitted)
                    return [box.x, box.x + box.width, text.ownerSVGElement.viewBox.baseVal.width, natural / fitted]
                }""",
                font,
            )
            assert 64 <= left < right <= width, (name, font)
            assert 0.6 < share < 1.7, (name, font)  # else it is squeezed or stretched past reading
        assert page.locator("text").text_content() == name


def test_the_side_bar_shows_it_whole_on_any_screen(visit: "Visit", stack: "Stack") -> None:
    for width in (390, 900, 1600):
        page = visit(stack.page.url, viewport={"width": width, "height": 800})
        if width < 800:
            page.get_by_test_id("stExpandSidebarButton").click()
        logo = page.get_by_test_id("stSidebarLogo")
        logo.wait_for()
        shown = logo.evaluate("e => e.clientWidth / e.clientHeight - e.naturalWidth / e.naturalHeight")
        assert abs(shown) < 0.05
