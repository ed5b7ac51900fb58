"""The pictures in docs/frontend.md, `invoke screenshots`: of what the pipeline published here, asked by test rows."""

import gzip
import io
import json
import math
import random
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from frontends import FrontendProcess
from PIL import Image
from servers import MonitorProcess, ServerProcess

from boatyard import journal, registry
from boatyard.registry import Reference
from boatyard.storage import Storage, open_storage

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page, ViewportSize

pytestmark = pytest.mark.browser

MOST_BYTES = 200_000
MOST_PIXELS = 2_200
DAYS = 3  # over which the traffic is spread
WIDE, NARROW = {"width": 1200, "height": 900}, {"width": 390, "height": 844}
PICTURES = [
    ("predict", "", "light", WIDE),
    ("models", "models", "dark", WIDE),
    ("drift", "drift", "light", WIDE),
    ("traffic", "traffic", "dark", WIDE),
    ("about", "about", "light", WIDE),
    ("phone", "", "light", NARROW),
    ("phone-drift", "drift", "dark", NARROW),
]


@pytest.fixture
def folder(request: pytest.FixtureRequest) -> Path:
    wanted = request.config.getoption("--screenshots", default=None)
    if wanted is None:
        pytest.skip("they are taken with --screenshots=FOLDER")
    return Path(wanted)


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    """With the newest versions of inbox that are published here."""
    here, copy = open_storage("."), open_storage(str(tmp_path / "storage"))
    if not (there := registry.versions(here, "inbox")):
        pytest.fail("there is no model to show: `uv run invoke pipeline` publishes one", pytrace=False)
    served = registry.resolve(here, Reference("inbox"))
    for version in {*there[:3], served}:
        registry.publish(copy, Path("models/inbox", version))
    registry.promote(copy, "inbox", served)
    return copy


@pytest.fixture
def rows() -> list[tuple[str, str]]:
    """Messages that the model was not trained on, with what they are about."""
    from boatyard.config.compose import load_config
    from boatyard.data.prepare import prepare

    prepared = prepare(load_config())
    labels = prepared.target["labels"]
    return [
        (row[0], labels[target]) for row, target in zip(prepared.rows("test"), prepared.targets("test"), strict=True)
    ]


def test_pictures_of_every_page_are_taken(
    folder: Path, visit: "Callable[..., Page]", storage: Storage, rows: list[tuple[str, str]], tmp_path: Path
) -> None:
    root, draw = tmp_path / "storage", random.Random(0)
    thefts = [row for row in rows if row[1] in ("card_lost", "card_stolen")]
    later = rows + 8 * thefts  # somebody steals cards
    with ServerProcess(root, tmp_path / "api.log") as api:
        _ask(api.url, draw.choices(rows, k=1_600) + draw.choices(later, k=400), draw)
        api.stop()  # which ships its journal
    _spread(storage)
    _look(root)
    with (
        ServerProcess(root, tmp_path / "api.log") as api,
        MonitorProcess(root, tmp_path / "monitor.log") as monitor,
        FrontendProcess(tmp_path / "page.log", BOATYARD_API=api.url, BOATYARD_MONITOR=monitor.url) as frontend,
    ):
        _ask(api.url, draw.choices(later, k=300), draw)
        for name, path, scheme, size in PICTURES:
            page = visit(f"{frontend.url}/{path}", color_scheme=scheme, viewport=size)
            page.get_by_role("heading", level=1).first.wait_for()
            if not path:
                page.locator(".st-key-example-0 button").click()
                page.get_by_text("Was this right?").wait_for()
            _take(page, size, folder / f"{name}.png")
            if name == "models":
                page.get_by_role("tab", name="Mistakes").click()
                _take(page, size, folder / "mistakes.png", page.get_by_role("tabpanel", name="Mistakes"))


def _take(page: "Page", size: "ViewportSize", path: Path, part: "Locator | None" = None) -> None:
    """As high as it is, when all is drawn; or a part of it."""
    for _ in range(2):  # a chart may be drawn anew where there is more room
        page.wait_for_function("!document.querySelector('[data-testid=stSkeleton], [data-testid=stStatusWidget]')")
        page.wait_for_timeout(2_000)
        height = page.get_by_test_id("stMainBlockContainer").evaluate("e => e.scrollHeight")
        page.set_viewport_size({**size, "height": height if part else min(height - 60, MOST_PIXELS)})
    _keep((part or page).screenshot(), path)


def _ask(url: str, rows: list[tuple[str, str]], draw: random.Random) -> None:
    """One at a time; one in eight says what would have been right."""
    with httpx.Client(base_url=url) as client:
        for text, label in rows:
            answer = client.post("/predict", json={"text": text}).raise_for_status().json()
            if draw.random() < 1 / 8:
                client.post("/feedback", json={"id": answer["id"], "label": label}).raise_for_status()


def _spread(storage: Storage) -> None:
    """Moves what was asked in a minute over days, more of it by day than by night: charts of time need some."""
    lines = list(journal.read(storage))
    storage.remove(journal.shipped(storage))
    now, days = datetime.now(UTC), defaultdict(list)
    for number, line in enumerate(lines, 1):
        share = number / len(lines)
        share += 0.08 / DAYS * math.sin(2 * math.pi * DAYS * share)
        moved = now - timedelta(days=DAYS * (1 - share))
        days[moved.date()].append(json.dumps({**line, "time": moved.isoformat()}))
    for day, moved_lines in days.items():
        storage.write(f"{journal.ROOT}date={day}/moved-1.jsonl.gz", gzip.compress("\n".join(moved_lines).encode()))


def _look(root: Path) -> None:
    """Reports as they would have been made every half day."""
    from boatyard.monitor.run import Monitor
    from boatyard.monitor.settings import Settings

    monitor = Monitor(Settings(storage=str(root), model=Reference("inbox")), days=2 * DAYS)
    for halves in reversed(range(2 * DAYS - 1)):
        monitor.run(datetime.now(UTC) - timedelta(days=halves / 2))


def _keep(taken: bytes, path: Path) -> None:
    """With few colours, which is all that these pages have."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.open(io.BytesIO(taken)).convert("RGB").quantize(96, dither=Image.Dither.NONE).save(path, optimize=True)
    assert path.stat().st_size < MOST_BYTES
