"""The site: what is generated is all there, its links hold, and it loads nothing from elsewhere."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from itertools import product
from pathlib import Path

import pytest
from pydantic import BaseModel

from boatyard import inputs, tasks
from boatyard.config.owned import config_type

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
    for input_, task in product(inputs.names(), tasks.names()):
        untold = {*keys(config_type(input_, task))} - told
        assert not [key for key in untold if not any(each.startswith(f"{key}.") for each in told)]
    assert {"data.hub.revision", "sweep.trials"} <= told
    assert "model.text.scratch.layers" in told  # part: text
    assert "cloud.train.gpu" in told  # part: cloud
    row = next(row for row in text.split("<tr>") if "<code>staging.max_slowdown</code>" in row)
    assert "≥ 1" in row
    assert "<code>1.5</code>" in row
    assert "production's, side by side" in row.replace("&rsquo;", "'")


def test_every_route_is_told(site: Path) -> None:
    text = page(site, "reference/http")
    document = json.loads((site / "reference" / "openapi.json").read_text())
    assert "/predict" in document["paths"]
    for path, methods in document["paths"].items():
        for method in methods:
            assert f">{method.upper()} {path}<" in text
    # part: monitor
    for route in ("GET /drift", "GET /drift.json", "POST /drift/run", "GET /history.json", "GET /statistics"):
        assert f">{route}<" in text
    # part end
    assert {"findings", "verdict"} <= set(re.findall(r'id="(\w+)"', text))  # part: monitor
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
    names = re.findall(r"^  (\S+)", listed.stdout, re.MULTILINE)  # what is wrapped is indented further
    assert {"pipeline", "update-template"} <= set(names)
    text = page(site, "reference/commands")
    assert not [name for name in names if f"uv run invoke {name}" not in text]


def test_every_module_has_a_page_with_its_docstrings(site: Path, checkout: Path) -> None:
    modules = {path.stem for path in (checkout / "src" / "boatyard").iterdir() if not path.name.startswith("_")}
    assert {path.name for path in (site / "reference" / "package").iterdir()} == modules
    assert "compare-and-swap" in page(site, "reference/package/registry")
    assert "ServingInput" in page(site, "reference/package/inputs")
    assert "TrainingTask" in page(site, "reference/package/tasks")


def test_a_page_is_listed_under_its_heading(site: Path, checkout: Path) -> None:
    listed = set(re.findall(r'<span class="md-ellipsis">\s*(.*?)\s*<', page(site, ".")))
    for file in {*(checkout / "docs").rglob("*.md")} - {checkout / "docs" / "index.md"}:  # some begin with a comment
        assert re.findall(r"^# (.*)", file.read_text(encoding="utf-8"), re.M)[0] in listed, file


def test_the_benchmarks_are_the_reports_themselves(site: Path, checkout: Path) -> None:
    reports = {path.stem for path in (checkout / "reports" / "benchmarks").glob("*.md")} - {"README"}
    assert {path.name for path in (site / "benchmarks").iterdir() if path.is_dir()} == reports
    assert "Each page here is written by" in page(site, "benchmarks")
    assert "Answers a second" in page(site, "benchmarks/serving")  # part: story


def test_words_are_found(site: Path) -> None:
    index = json.loads((site / "search" / "search_index.json").read_text())
    found = {entry["location"].partition("#")[0] for entry in index["docs"] if "quarantine" in entry["text"]}
    assert "reference/configuration/" in found


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


def test_a_diagram_is_drawn_when_the_site_is_built(site: Path, checkout: Path) -> None:
    source = (checkout / "docs" / "explanation" / "architecture.md").read_text(encoding="utf-8")
    text = page(site, "explanation/architecture")
    assert 'class="mermaid"' not in text  # what the theme's script would draw, with a library from another host
    assert "flowchart TB" not in text
    drawn = re.findall(r'<figure class="diagram"><svg id="([\w-]+)"', text)
    assert len(set(drawn)) == source.count("```mermaid") >= 3
    assert "beside a baseline" in text
    colours = re.findall(r"#[0-9a-f]{6}\b", "".join(re.findall(r"<style>.*?</style>", text, re.DOTALL)), re.IGNORECASE)
    assert not {"#ececff", "#9370db"} & {colour.lower() for colour in colours}  # those that only suit a light page


def test_only_what_is_meant_for_the_pages_is_taken_from_the_environment(
    site: Path, build: Build, tmp_path: Path
) -> None:
    environment = {"BOATYARD_STORAGE": "gs://my-bucket", "GOOGLE_CLOUD_PROJECT": "my-own-project"}
    built = build(tmp_path, REPOSITORY_URL="https://example.org/me/mine", **environment)
    assert built.returncode == 0, built.stderr
    assert not [value for value in environment.values() if value in page(tmp_path, "reference/configuration")]
    assert "<code>deploy/run/api.yaml</code>" in page(site, "cloud-run")
    assert "blob/HEAD" not in page(site, "cloud-run")
    assert 'href="https://example.org/me/mine/blob/HEAD/deploy/run/api.yaml"' in page(tmp_path, "cloud-run")


def test_each_link_to_what_is_not_there_and_each_page_that_is_forgotten_fails_the_build(
    build: Build, checkout: Path, tmp_path: Path
) -> None:
    start, forgotten = checkout / "docs" / "index.md", checkout / "docs" / "forgotten.md"
    before = start.read_text(encoding="utf-8")
    wrong = ("gone.md", "../deploy/gone.yaml", "tutorial.md#gone")
    start.write_text("\n".join([before, *(f"[gone]({link})" for link in wrong)]), encoding="utf-8")
    forgotten.write_text("# Forgotten\n", encoding="utf-8")
    try:
        built = build(tmp_path)
    finally:
        start.write_text(before, encoding="utf-8")
        forgotten.unlink()
    assert built.returncode != 0
    assert [told for told in (*wrong, "forgotten.md") if told not in built.stderr] == []
