"""The pictures in docs/frontend.md: `invoke screenshots`, of the models that are published here."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from frontends import FrontendProcess, StandInMonitor
from PIL import Image
from servers import ServerProcess

from boatyard import registry
from boatyard.storage import open_storage

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

MOST_BYTES = 150_000
WIDE, NARROW = {"width": 1200, "height": 900}, {"width": 390, "height": 844}


@pytest.fixture
def folder(request: pytest.FixtureRequest) -> Path:
    given = request.config.getoption("--screenshots", default=None)
    if given is None:
        pytest.skip("they are taken with --screenshots=FOLDER")
    here = open_storage(".")
    if not (there := registry.versions(here, "inbox")):
        pytest.fail("there is no model to show: `invoke pipeline` publishes one")
    storage = open_storage(str(request.getfixturevalue("tmp_path") / "storage"))
    for version in there[:6]:
        registry.publish(storage, Path("models/inbox", version))
    registry.promote(storage, "inbox", registry.resolve(here, registry.Reference("inbox")))
    return Path(given)


def test_pictures_of_every_page_are_taken(visit: "Callable[..., Page]", folder: Path, tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "storage", tmp_path / "api.log") as api:
        card = httpx.get(f"{api.url}/model").json()
        for example in card["examples"] * 50:
            httpx.post(f"{api.url}/predict", json=example)
        with (
            StandInMonitor(card["labels"]) as monitor,
            FrontendProcess(tmp_path / "log", BOATYARD_API=api.url, BOATYARD_MONITOR=monitor.url) as frontend,
        ):
            monitor.runs = 1
            for name, path, scheme, size in [
                ("predict", "", "light", WIDE),
                ("models", "models", "dark", WIDE),
                ("drift", "drift", "light", WIDE),
                ("traffic", "traffic", "dark", WIDE),
                ("phone", "", "light", NARROW),
            ]:
                page = visit(f"{frontend.url}/{path}", color_scheme=scheme, viewport=size)
                if not path:
                    page.locator(".st-key-example-0 button").click()
                    page.get_by_text("Was this right?").wait_for()
                else:
                    page.get_by_role("heading", level=1).first.wait_for()
                page.wait_for_timeout(2_000)  # charts draw themselves
                height = page.get_by_test_id("stMainBlockContainer").evaluate("e => e.scrollHeight")
                page.set_viewport_size({**size, "height": min(height - 60, 1_500)})
                page.wait_for_timeout(1_500)
                _keep(page.screenshot(), folder / f"{name}.png")


def _keep(taken: bytes, path: Path) -> None:
    """With few colours, which is all that these pages have."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.open(io.BytesIO(taken)).convert("RGB").quantize(96, dither=Image.Dither.NONE).save(path, optimize=True)
    assert path.stat().st_size < MOST_BYTES
