"""The site: what is generated is all there, its links hold, and it loads nothing from elsewhere."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from pydantic import BaseModel

from boatyard.config import Config

pytestmark = pytest.mark.docs

Build = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def build(checkout: Path, environment: dict[str, str]) -> Build:
    """Builds the copy's documentation into a folder, as `invoke docs` does."""

    def run(site: Path, **variables: str) -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(site)]
        return subprocess.run(
            words, cwd=checkout, env=environment | variables, capture_output=True, text=True, check=False
        )

    return run


@pytest.fixture(scope="module")
def site(build: Build, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    built = build(folder)
    assert built.returncode == 0, built.stderr
    return folder


def page(site: Path, name: str) -> str:
    return (site / name / "index.html").read_text(encoding="utf-8")


def keys(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from keys(inner, f"{prefix}{name}.")
        else:
            yield prefix + name


def test_every_key_of_the_configuration_is_told_with_its_default_and_comment(site: Path) -> None:
    text = page(site, "reference/configuration")
    told = set(re.findall(r"<tr>\s*<td><code>([\w.]+)</code></td>", text))
    assert {key for key in keys(Config) if key not in {"data.hub", "model.scratch", "sweep"}} <= told
    assert {"data.hub.revision", "model.scratch.layers", "sweep.trials", "cloud.train.gpu"} <= told
    row = next(row for row in text.split("<tr>") if "<code>staging.max_slowdown</code>" in row)
    assert "≥ 1" in row
    assert "<code>1.5</code>" in row
    assert "production's, side by side" in row.replace("&rsquo;", "'")


def test_no_secret_or_place_of_whoever_builds_gets_into_the_pages(build: Build, tmp_path: Path) -> None:
    built = build(tmp_path, BOATYARD_STORAGE="gs://my-bucket", GOOGLE_CLOUD_PROJECT="my-own-project")
    assert built.returncode == 0, built.stderr
    text = page(tmp_path, "reference/configuration")
    assert "my-bucket" not in text
    assert "my-own-project" not in text


def test_every_route_is_told(site: Path) -> None:
    text = page(site, "reference/http")
    document = json.loads((site / "reference" / "openapi.json").read_text())
    assert "/predict" in document["paths"]
    for path, methods in document["paths"].items():
        for method in methods:
            assert f">{method.upper()} {path}<" in text
    for shape in document["components"]["schemas"]:
        assert f'id="{shape.lower()}"' in text


def test_every_task_is_told(site: Path, checkout: Path, environment: dict[str, str]) -> None:
    listed = subprocess.run(
        [sys.executable, "-m", "invoke", "--list"],
        cwd=checkout,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    names = [line.split()[0] for line in listed.stdout.splitlines() if line.startswith("  ")]
    assert {"pipeline", "cloud.train"} <= set(names)
    text = page(site, "reference/commands")
    assert not [name for name in names if f"uv run invoke {name}" not in text]


def test_every_module_has_a_page_with_its_docstrings(site: Path, checkout: Path) -> None:
    modules = {path.stem for path in (checkout / "src" / "boatyard").iterdir() if not path.name.startswith("_")}
    assert {path.name for path in (site / "reference" / "package").iterdir()} == modules
    assert "compare-and-swap" in page(site, "reference/package/registry")
    assert "ServedModel" in page(site, "reference/package/kinds")


def test_the_benchmarks_are_the_reports_themselves(site: Path, checkout: Path) -> None:
    reports = {path.stem for path in (checkout / "reports" / "benchmarks").glob("*.md")}
    assert {path.name for path in (site / "benchmarks").iterdir()} == reports
    assert "Answers a second" in page(site, "benchmarks/serving")


def test_words_are_found(site: Path) -> None:
    index = json.loads((site / "search" / "search_index.json").read_text())
    found = {entry["location"].partition("#")[0] for entry in index["docs"] if "quarantine" in entry["text"]}
    assert {"tutorial/", "reference/configuration/"} <= found


class Loaded(HTMLParser):
    """What a browser fetches to show a page."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        shown = tag == "link" and given.get("rel") not in {"canonical", "next", "prev"}
        address = given.get("href") if shown else given.get("src")
        if address:
            self.addresses.append(address)


def test_a_page_loads_nothing_from_elsewhere(site: Path) -> None:
    for path in site.rglob("*.html"):
        parser = Loaded()
        parser.feed(path.read_text(encoding="utf-8"))
        assert parser.addresses
        assert not [address for address in parser.addresses if "//" in address], path


def test_what_lies_outside_the_site_is_linked_where_the_repository_is_known(
    site: Path, build: Build, tmp_path: Path
) -> None:
    assert "<code>deploy/run/api.yaml</code>" in page(site, "cloud-run")
    assert "blob/HEAD" not in page(site, "cloud-run")
    assert build(tmp_path, REPOSITORY_URL="https://example.org/me/mine").returncode == 0
    assert 'href="https://example.org/me/mine/blob/HEAD/deploy/run/api.yaml"' in page(tmp_path, "cloud-run")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("[gone](gone.md)", "gone.md"),
        ("[gone](../deploy/gone.yaml)", "../deploy/gone.yaml"),
        ("[gone](tutorial.md#gone)", "#gone"),
    ],
)
def test_a_link_to_what_is_not_there_fails_the_build(
    build: Build, checkout: Path, tmp_path: Path, line: str, told: str
) -> None:
    start = checkout / "docs" / "index.md"
    before = start.read_text(encoding="utf-8")
    start.write_text(f"{before}\n{line}\n", encoding="utf-8")
    try:
        built = build(tmp_path)
    finally:
        start.write_text(before, encoding="utf-8")
    assert built.returncode != 0
    assert told in built.stderr


def test_a_page_that_the_navigation_forgets_fails_the_build(build: Build, checkout: Path, tmp_path: Path) -> None:
    forgotten = checkout / "docs" / "forgotten.md"
    forgotten.write_text("# Forgotten\n")
    try:
        built = build(tmp_path)
    finally:
        forgotten.unlink()
    assert built.returncode != 0
    assert "forgotten.md" in built.stderr
