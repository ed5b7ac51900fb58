"""A browser, and all that a page needs behind it. Skipped where there is no Chromium or no Playwright."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from frontends import Stack

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
# the later ones keep it from asking anybody but the page
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


# part: story
def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--screenshots", metavar="FOLDER", help="where test_screenshots.py puts its pictures")


# part end
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    why = "there is no chromium" if CHROMIUM is None else None
    try:
        import playwright.sync_api  # noqa: F401
        import streamlit  # noqa: F401
    except ImportError as missing:
        why = f"{missing.name} is not installed"
    here = Path(__file__).parent
    for item in items:
        if why and here in item.path.parents:
            item.add_marker(pytest.mark.skip(reason=f"browser tests: {why}"))


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("stack")) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> "Iterator[object]":
    """Ends with the file: Playwright's event loop runs in the tests' thread, where other tests start their own."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=40_000)
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)


@pytest.fixture
def visit(browser: object) -> "Iterator[Callable[..., object]]":
    """Opens an address in a session of its own; what the page asked for is in `asked`."""
    contexts = []

    def go(url: str, **options: object) -> object:
        context = browser.new_context(**options)  # type: ignore[attr-defined]
        contexts.append(context)
        context.set_default_timeout(40_000)
        page = context.new_page()
        page.goto(url)
        return page

    yield go
    for context in contexts:
        context.close()
