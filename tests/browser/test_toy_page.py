"""An input and a task that brought hardly a page of their own: their schemas make one."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from frontends import FrontendProcess
from servers import MonitorProcess, ServerProcess
from sharing import made_once
from toyshop import environment, make_shop

if TYPE_CHECKING:
    from playwright.sync_api import Page

    Visit = Callable[..., Page]

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def address(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of the web page, in front of a server and a monitor of the shop."""
    shop, logs = made_once(request, "shop", make_shop), tmp_path_factory.mktemp("logs")
    chosen = environment(shop) | {"BOATYARD_MODEL": "clicks"}
    with ExitStack() as running:
        api = running.enter_context(ServerProcess(shop, logs / "api.log", **chosen))
        monitor = running.enter_context(MonitorProcess(shop, logs / "monitor.log", **chosen))
        reach = {"BOATYARD_API": api.url, "BOATYARD_MONITOR": monitor.url}
        yield running.enter_context(FrontendProcess(logs / "page.log", **chosen | reach)).url


def test_a_visit_is_typed_answered_and_corrected(visit: "Visit", address: str) -> None:
    from playwright.sync_api import expect

    page = visit(address)
    page.get_by_label("Clicks", exact=True).fill(json.dumps(["home", "cart", "shoes"]))
    page.get_by_role("button", name="Predict").click()
    expect(page.get_by_role("heading", name="expected")).to_be_visible()
    page.get_by_label("Count", exact=True).fill("4")
    page.get_by_label("Count", exact=True).press("Enter")
    expect(page.get_by_text("It is kept that 4 is right.")).to_be_visible()


def test_what_the_server_refuses_is_shown_in_its_words(visit: "Visit", address: str) -> None:
    from playwright.sync_api import expect

    page = visit(address)
    page.get_by_label("Clicks", exact=True).fill("[7]")
    page.get_by_role("button", name="Predict").click()
    expect(page.get_by_text("must be a list with the names of one page or more")).to_be_visible()


@pytest.mark.parametrize("name", ["models", "drift", "traffic", "about"])
def test_every_page_shows_such_a_model(visit: "Visit", address: str, name: str) -> None:
    from playwright.sync_api import expect

    page = visit(f"{address}/{name}")
    expect(page.get_by_test_id("stHeading").first).to_be_visible()
    expect(page.get_by_text("Running")).not_to_be_visible()
    assert page.get_by_test_id("stException").count() == 0
