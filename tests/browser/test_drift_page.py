"""The monitor's report in a browser: readable in light and dark and on a phone, and what it shows is text."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from boatyard.journal.columns import Column
from boatyard.monitor.drift import NO_EMBEDDING, Columns, compare
from boatyard.monitor.page import page
from boatyard.monitor.results import Findings, Quality, Window

if TYPE_CHECKING:
    from playwright.sync_api import Page

    Visit = Callable[..., Page]

pytestmark = pytest.mark.browser

COLUMNS = [
    Column("label", "the answer", category=True, group="prediction"),
    Column("score", "the model's confidence", group="confidence"),
    Column("length", "the length of the input"),
    Column("language", "the language", category=True),
]
HOSTILE = "</script><script>document.title = 'owned'</script><body>"


def columns(rows: int, seed: int) -> Columns:
    draw = np.random.default_rng(seed)
    values = {
        "label": draw.choice([HOSTILE, "fees"], rows),
        "score": draw.beta(8, 2, rows),
        "length": draw.poisson(12, rows).astype(float),
        "language": draw.choice([HOSTILE, "en"], rows),
    }
    return Columns(values, NO_EMBEDDING)


@pytest.fixture(scope="module", params=[(300, "no drift"), (5, "too little to compare")], ids=["measured", "too few"])
def report(request: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Where a report lies, and what its heading must say."""
    rows, conclusion = request.param
    reference, window = columns(500, 0), columns(rows, 1)
    findings = Findings(
        model="ferry",
        version="1",
        time="",
        window=Window(rows=len(window), sampled=len(window), from_="", to=""),
        alarm=False,
        verdicts=compare(reference, window, COLUMNS, 100),
        quality=Quality(feedback=0, score=None, accepted=None),
    )
    file: Path = tmp_path_factory.mktemp("page") / "drift.html"
    file.write_text(page(findings, reference, window), encoding="utf-8")
    return file.as_uri(), conclusion


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_report_can_be_read_on_its_ground_and_runs_nothing_that_it_shows(
    report: tuple[str, str], visit: "Visit", scheme: str
) -> None:
    address, conclusion = report
    opened = visit(address, color_scheme=scheme, viewport={"width": 390, "height": 800})
    opened.wait_for_load_state("networkidle")
    assert opened.title() == f"ferry: {conclusion}"
    heading = Image.open(BytesIO(opened.locator("h1").screenshot())).convert("L")
    darkest, brightest = heading.getextrema()
    assert brightest - darkest > 180
    assert (heading.getpixel((0, 0)) < 60) == (scheme == "dark")
    assert opened.evaluate("document.querySelector('.boatyard').scrollWidth <= innerWidth")
