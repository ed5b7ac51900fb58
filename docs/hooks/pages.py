"""Pages from outside docs/: the generated reference, and Markdown files elsewhere in the repository."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import reference
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[2]


def on_files(files: Files, config: MkDocsConfig) -> None:
    """Add the pages, and expand `FOLDER/*` in the navigation."""
    generated = {
        "reference/configuration.md": reference.configuration(),
        "reference/commands.md": reference.commands(),
        "reference/http.md": reference.http(),
        "reference/openapi.json": reference.openapi(),
        **{f"reference/package/{name}.md": page for name, page in reference.package().items()},
    }
    for uri, content in generated.items():
        files.append(File.generated(config, uri, content=content))
    copied = {"CONTRIBUTING.md": "CONTRIBUTING.md"}
    # part: benchmarks
    measured = (ROOT / "reports" / "benchmarks").glob("*.md")
    copied |= {f"benchmarks/{page.name}": f"reports/benchmarks/{page.name}" for page in measured}
    # part end
    for uri, path in copied.items():
        files.append(File.generated(config, uri, abs_src_path=str(ROOT / path)))
    config.nav = _expand(config.nav, sorted(page.src_uri for page in files.documentation_pages()))


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Drop a comment above the heading, without which MkDocs takes the page's title from there."""
    return re.sub(r"\A(<!--.*?-->\s*)+", "", markdown, flags=re.DOTALL)


def _expand(entries: list[Any], pages: list[str]) -> list[Any]:
    listed = set(_listed(entries))

    def expand(entry: Any) -> list[Any]:
        if isinstance(entry, dict):
            return [
                {title: [part for inner in value for part in expand(inner)] if isinstance(value, list) else value}
                for title, value in entry.items()
            ]
        if entry.endswith("/*"):
            folder = entry.removesuffix("*")
            return [page for page in pages if page not in listed and page.rpartition("/")[0] + "/" == folder]
        return [entry]

    return [part for entry in entries for part in expand(entry)]


def _listed(entries: list[Any]) -> Iterator[str]:
    for entry in entries:
        for value in entry.values() if isinstance(entry, dict) else [entry]:
            yield from _listed(value) if isinstance(value, list) else [value]
