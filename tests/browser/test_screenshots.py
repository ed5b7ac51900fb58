"""The pictures in docs/, `invoke screenshots`: of what the pipeline published here, asked by test rows."""

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

MOST_BYTES, MOST_BYTES_MOVING = 200_000, 1_000_000
MOST_PIXELS = 2_200
DAYS = 3  # over which the traffic is spread
WIDE, NARROW = {"width": 1200, "height": 900}, {"width": 390, "height": 844}
SMALL = {"width": 1120, "height": 700}  # of the animation
QUESTION = "somebody took my card on the bus this morning"
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


def copied(name: str, root: Path, command: str) -> Storage:
    """With the newest versions of this model that are published here."""
    here, copy = open_storage("."), open_storage(str(root))
    if not (there := registry.versions(here, name)):
        pytest.fail(f"there is no {name} to show: `uv run invoke {command}` publishes one", pytrace=False)
    served = registry.resolve(here, Reference(name))
    for version in {*there[:3], served}:
        registry.publish(copy, Path("models", name, version))
    registry.promote(copy, name, served)
    return copy


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return copied("inbox", tmp_path / "storage", "pipeline")


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
    with ServerProcess(root, tmp_path / "api.log", BOATYARD_MODEL="inbox") as api:
        _ask(api.url, draw.choices(rows, k=1_600) + draw.choices(later, k=400), draw)
        api.stop()  # which ships its journal
    _spread(storage)
    _look(root)
    with (
        ServerProcess(root, tmp_path / "api.log", BOATYARD_MODEL="inbox") as api,
        MonitorProcess(root, tmp_path / "monitor.log", BOATYARD_MODEL="inbox") as monitor,
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
        _tour(visit(frontend.url, viewport=SMALL), folder / "tour.webp")


def test_pictures_of_what_is_found_in_a_harbour_are_taken(
    folder: Path, visit: "Callable[..., Page]", tmp_path: Path
) -> None:
    root = tmp_path / "storage"
    copied("harbour", root, "pipeline -o data=harbour")
    with (
        ServerProcess(root, tmp_path / "api.log", BOATYARD_MODEL="harbour") as api,
        FrontendProcess(tmp_path / "page.log", BOATYARD_API=api.url) as frontend,
    ):
        for name, size in (("harbour", WIDE), ("harbour-phone", NARROW)):
            page = visit(frontend.url, viewport=size)
            page.locator(".st-key-example-0 button").click()
            page.get_by_text("Was this right?").wait_for()
            part = page.get_by_test_id("stVerticalBlock").filter(has=page.get_by_test_id("stImage")).last
            if size == NARROW:
                page.get_by_role("button", name="No", exact=True).click()
                part = page.get_by_test_id("stForm").last
                _draw_last_anew(page)
            _take(page, size, folder / f"{name}.webp", part)


def _tour(page: "Page", path: Path) -> None:
    """An animation: a question is typed and its answer explained, then the pages on drift and traffic."""
    frames: list[Image.Image] = []
    seconds: list[float] = []

    def shot(shown: float) -> None:
        frames.append(Image.open(io.BytesIO(page.screenshot())).convert("RGB"))
        seconds.append(shown)

    page.get_by_role("heading", level=1).first.wait_for()
    page.get_by_text("Explain").click()
    _settle(page)
    text = page.locator("textarea")
    text.scroll_into_view_if_needed()
    for end in range(0, len(QUESTION), 5):
        text.press_sequentially(QUESTION[end : end + 5])
        shot(0.25)
    page.get_by_role("button", name="Predict", exact=True).click()
    page.get_by_text("Was this right?").wait_for()
    _settle(page)
    page.get_by_role("button", name="Yes", exact=True).evaluate("e => e.scrollIntoView({block: 'end'})")
    page.wait_for_timeout(300)
    shot(4)
    for name in ("Drift", "Traffic"):
        page.get_by_role("link", name=name, exact=True).click()
        page.get_by_role("heading", level=1, name=name).wait_for()
        _settle(page)
        shot(3)
    first, *rest = frames
    first.save(path, save_all=True, append_images=rest, duration=[round(1000 * shown) for shown in seconds], loop=0)
    assert path.stat().st_size < MOST_BYTES_MOVING


def _draw_last_anew(page: "Page") -> None:
    """Of what was found, the frame of which the model was least sure, a little larger."""
    frame = page.locator(".marking svg rect").last
    frame.scroll_into_view_if_needed()
    place = frame.bounding_box()
    assert place is not None
    page.locator(".marking li").last.get_by_role("button").click()
    page.mouse.move(place["x"] - 6, place["y"] - 6)
    page.mouse.down()
    for share in (0.5, 1):
        page.mouse.move(place["x"] + share * place["width"] + 6, place["y"] + share * place["height"] + 6)
    page.mouse.up()


def _take(page: "Page", size: "ViewportSize", path: Path, part: "Locator | None" = None) -> None:
    """As high as it is, when all is drawn; or a part of it."""
    for _ in range(2):  # a chart may be drawn anew where there is more room
        _settle(page)
        height = page.get_by_test_id("stMainBlockContainer").evaluate("e => e.scrollHeight")
        page.set_viewport_size({**size, "height": height if part else min(height - 60, MOST_PIXELS)})
    _keep((part or page).screenshot(), path)


def _settle(page: "Page") -> None:
    page.wait_for_function("!document.querySelector('[data-testid=stSkeleton], [data-testid=stStatusWidget]')")
    page.wait_for_timeout(2_000)


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
    """With few colours as a PNG, which is all that most of these pages have."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.open(io.BytesIO(taken)).convert("RGB")
    if path.suffix == ".png":
        picture = picture.quantize(96, dither=Image.Dither.NONE)
    picture.save(path, optimize=True, quality=90)
    assert path.stat().st_size < MOST_BYTES
