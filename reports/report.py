"""The project's report, written in reports/README.md:  python reports/report.py check | html | facts

check   holds every answer against the words and figures that its question asks for; 1 where one falls short
html    writes reports/report.html, one page with its pictures inside
facts   fills in what the repository knows by itself: tests, packages, data, metrics, benchmarks, images

A question's answer stands between `<!-- answer words=50-150 figures=1 -->` and `<!-- /answer -->`, facts stand between
`<!-- facts NAME -->` and `<!-- /facts -->`. What is malformed is named with its line, and ends with status 2.
"""

import argparse
import base64
import html
import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from boatyard.config.errors import UserError
from boatyard.evaluate.markdown import escape, table

HERE = Path(__file__).resolve().parent
FORM = HERE / "README.md"
MOST_FIGURE_BYTES = 2 * 2**20
PICTURES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".svg": "image/svg+xml"}

_MARK = re.compile(r"\s*<!--\s*(?P<end>/?)(?P<kind>answer|facts)\b(?P<rest>.*?)-->\s*")
_LIMITS = re.compile(r"\s*words=(\d+)-(\d+)(?:\s+figures=(\d+))?\s*")
_FIGURE = re.compile(r'(?<!`)!\[(?P<alt>[^\]]*)\]\((?P<path>[^)\s]+)(?:\s+"[^"]*")?\)')
_FENCE = re.compile(r"^```.*?^```\s*$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")
_WORD = re.compile(r"\w[\w'’-]*")  # noqa: RUF001 - the apostrophe that editors type
_HEADING = re.compile(r"#{1,6}\s+(.*)")


class Malformed(Exception):  # noqa: N818 - says what is wrong
    """A file cannot be read, the form if none is named; says where."""

    def __init__(self, line: int, why: str, file: str = FORM.name) -> None:
        super().__init__(f"{file}:{line}: {why}")


@dataclass(frozen=True)
class Block:
    """What stands between two marks. `first` and `last`: the marks' own lines, counted from 1."""

    kind: str
    rest: str
    heading: str
    first: int
    last: int
    text: str


def blocks(text: str) -> Iterator[Block]:
    """Answers and facts, top to bottom. Raises Malformed."""
    opened: tuple[str, str, int] | None = None
    heading, inside, fenced = "", [], False
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("```"):
            fenced = not fenced
        mark = None if fenced else _MARK.fullmatch(line)
        if mark is None:
            if not fenced and re.search(r"<!--\s*/?(answer|facts)\b", line) and "`" not in line:
                raise Malformed(number, "a mark must stand alone on its line, and end with -->")
            if opened is None and not fenced and (named := _HEADING.fullmatch(line)):
                heading = named[1]
            inside.append(line)
        elif mark["end"]:
            if opened is None or opened[0] != mark["kind"]:
                raise Malformed(number, f"/{mark['kind']} ends nothing")
            yield Block(opened[0], opened[1], heading, opened[2], number, "\n".join(inside))
            opened = None
        else:
            if opened is not None:
                raise Malformed(number, f"{mark['kind']} begins before {opened[0]} of line {opened[2]} has ended")
            opened, inside = (mark["kind"], mark["rest"], number), []
    if opened is not None:
        raise Malformed(opened[2], f"{opened[0]} never ends: <!-- /{opened[0]} --> is missing")


def words(text: str) -> int:
    """Words of prose: neither code nor pictures nor addresses count."""
    prose = _LINK.sub(r"\1", _FIGURE.sub("", _FENCE.sub("", text)))
    return len(_WORD.findall(re.sub(r"<!--.*?-->", "", prose, flags=re.DOTALL)))


def figures(text: str) -> list[str]:
    """The paths of the pictures in it."""
    return [found["path"] for found in _FIGURE.finditer(_FENCE.sub("", text))]


def picture(path: str, line: int) -> Path:
    """The file of a figure. Raises Malformed where it is none that a reader could see."""
    file = (HERE / path).resolve()
    if not file.is_relative_to(HERE.parent):
        raise Malformed(line, f"the figure {path} lies outside the repository")
    if file.suffix.lower() not in PICTURES:
        raise Malformed(line, f"the figure {path} is none of {', '.join(PICTURES)}")
    if not file.is_file():
        raise Malformed(line, f"the figure {path} is not there")
    if file.stat().st_size > MOST_FIGURE_BYTES:
        raise Malformed(line, f"the figure {path} is larger than {MOST_FIGURE_BYTES // 2**20} MB")
    return file


def check(text: str) -> list[str]:
    """What falls short of the questions. Raises Malformed."""
    short, seen = [], 0
    for block in blocks(text):
        if block.kind == "facts":
            if block.rest.strip() not in FACTS:
                raise Malformed(block.first, f"facts are one of {', '.join(FACTS)}, not {block.rest.strip()!r}")
            continue
        limits = _LIMITS.fullmatch(block.rest)
        if limits is None or int(limits[1]) > int(limits[2]):
            raise Malformed(block.first, "answer must say words=LEAST-MOST, and may say figures=NUMBER")
        seen += 1
        least, most, wanted = int(limits[1]), int(limits[2]), int(limits[3] or 0)
        found, shown = words(block.text), figures(block.text)
        for path in shown:
            picture(path, block.first + 1 + block.text[: block.text.index(path)].count("\n"))
        place = f"{FORM.name}:{block.first}: {block.heading}"
        if found == 0 and not shown:
            short.append(f"{place}: not answered yet")
            continue
        if not least <= found <= most:
            short.append(f"{place}: {found} words, of {least} to {most}")
        if len(shown) < wanted:
            short.append(f"{place}: {len(shown)} figures, of {wanted}")
    if not seen:
        raise Malformed(1, "there is no question in it")
    return short


def page(text: str) -> str:
    """One page of HTML that needs nothing but itself. Raises Malformed."""
    import markdown

    check(text)

    def inlined(found: re.Match[str]) -> str:
        line = text[: found.start()].count("\n") + 1
        file = picture(found["path"], line)
        content = base64.b64encode(file.read_bytes()).decode()
        return f"![{found['alt']}](data:{PICTURES[file.suffix.lower()]};base64,{content})"

    title = next((named[1] for line in text.splitlines() if (named := _HEADING.fullmatch(line))), "Report")
    body = markdown.markdown(_FIGURE.sub(inlined, text), extensions=["tables", "fenced_code", "toc", "sane_lists"])
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(title)}</title>
<style>{_STYLE}</style>
<main>
{body}
</main>
</html>
"""


_STYLE = """
:root { color-scheme: light dark; --accent: #0f766e; --line: color-mix(in srgb, currentColor 18%, transparent) }
body { font: 17px/1.6 system-ui, sans-serif; margin: 0 }
main { max-width: 46rem; margin: 0 auto; padding: 2rem 1rem 6rem }
h1, h2, h3 { line-height: 1.25; margin-top: 2.2em }
h2 { border-bottom: 2px solid var(--accent); padding-bottom: .2em }
img { max-width: 100% }
table { border-collapse: collapse; display: block; overflow-x: auto; font-size: .9em }
th, td { border: 1px solid var(--line); padding: .3em .7em; text-align: left }
blockquote { margin: 1em 0; padding-left: 1em; border-left: 3px solid var(--accent); opacity: .8 }
code { font-size: .9em }
pre { overflow-x: auto; border: 1px solid var(--line); padding: .8em }
"""


def fill(text: str) -> str:
    """The form with its facts as they are now. Raises Malformed."""
    check(text)
    lines = text.splitlines()
    for block in reversed(list(blocks(text))):  # from the end, so that line numbers stay right
        if block.kind == "facts":
            lines[block.first : block.last - 1] = ["", *FACTS[block.rest.strip()]().splitlines(), ""]
    return "\n".join(lines) + "\n"


def _repository() -> str:
    commit = _told("git", "log", "-1", "--format=%h of %cs")
    commits, people = _told("git", "rev-list", "--count", "HEAD"), _told("git", "shortlog", "-sn", "HEAD")
    return table(["", ""], [["commit", commit], ["commits", commits], ["people", str(len(people.splitlines()))]])


def _tests() -> str:
    root = HERE.parent
    listed = _told(sys.executable, "-m", "pytest", "--collect-only", "-q", "-o", "addopts=")
    folders = re.findall(r"^tests/([a-z]+)/.*::", listed, re.MULTILINE)
    rows = [[folder, str(folders.count(folder))] for folder in sorted(set(folders))]
    if not rows:
        return "The tests could not be collected."
    rows.append(["together", str(len(folders))])
    covered = "No coverage was measured here: `uv run invoke test --all` does."
    if (root / ".coverage").exists():
        total = _told(sys.executable, "-m", "coverage", "report", "--format=total")
        covered = f"Coverage of the last run: {total} %." if total.isdigit() else covered
    return f"{table(['folder', 'tests'], rows, 'lr')}\n\n{covered}"


def _packages() -> str:
    project = _parsed(HERE.parent / "pyproject.toml", tomllib.loads)["project"]
    parts = {"serving": project["dependencies"], **project["optional-dependencies"]}
    rows = []
    for part, wanted in parts.items():
        names = [re.split(r"[^A-Za-z0-9_.-]", one, maxsplit=1)[0] for one in wanted]
        rows.append([part, ", ".join(f"{name} {_version(name)}" for name in names)])
    return table(["part", "packages"], rows)


def _data() -> str:
    rows = []
    for file in sorted((HERE / "data").glob("*/report.json")):
        facts = _parsed(file, json.loads)
        rows.append([facts["name"], facts["fingerprint"], ", ".join(facts["sources"])])
    if not rows:
        return "No data was prepared here: `uv run invoke data` does."
    return table(["data set", "fingerprint", "files"], rows, "lll")


def _metrics() -> str:
    from boatyard.registry import aliases, names, read_manifest
    from boatyard.storage import open_storage

    storage, rows = open_storage(str(HERE.parent)), []
    for name in names(storage):
        for alias, at in aliases(storage, name).items():
            manifest = read_manifest(storage, name, at)
            of_each = [getattr(manifest.metrics, part) for part in ("served", "trained", "baseline")]
            scores = [score[0].shown if score else "" for score in of_each]
            title = manifest.accepted.title if manifest.accepted else ""
            rows.append([f"{name}@{alias}", at, manifest.data_fingerprint, title, *scores])
    if not rows:
        return "Nothing is published here: `uv run invoke pipeline` does."
    return table(["model", "version", "data", "score", "as served", "as trained", "baseline"], rows, "llllrrr")


def _benchmarks() -> str:
    parts = []
    for file in sorted({*(HERE / "benchmarks").glob("*.md")} - {HERE / "benchmarks" / "README.md"}):
        text = _read(file)
        tables = re.findall(r"^\|.*\n\|[-:| ]+\n(?:\|.*\n?)+", text, re.MULTILINE)
        title = text.splitlines()[0].lstrip("# ")
        parts += [f"[{escape(title)}](benchmarks/{file.name})", *(each.strip() for each in tables)]
    return "\n\n".join(parts) or "No benchmark was run here."


def _images() -> str:
    if shutil.which("docker") is None:
        return "There is no Docker here."
    told = _told(
        "docker", "image", "ls", "--format", "{{.Repository}}:{{.Tag}}\t{{.Size}}", "--filter=reference=boatyard-*"
    )
    rows = [line.split("\t") for line in told.splitlines() if "\t" in line]
    return table(["image", "size"], rows, "lr") if rows else "No image was built here: `uv run invoke images` does."


FACTS: dict[str, Callable[[], str]] = {
    "repository": _repository,
    "tests": _tests,
    "packages": _packages,
    "data": _data,
    "metrics": _metrics,
    "benchmarks": _benchmarks,
    "images": _images,
}


def _parsed(file: Path, parse: Callable[[str], Any]) -> Any:
    try:
        return parse(_read(file))
    except (json.JSONDecodeError, tomllib.TOMLDecodeError) as wrong:
        where = re.search(r"line (\d+)", str(wrong))
        raise Malformed(int(where[1]) if where else 1, str(wrong), _named(file)) from None


def _read(file: Path) -> str:
    content = file.read_bytes()
    try:
        return content.decode()
    except UnicodeDecodeError as wrong:
        raise Malformed(content[: wrong.start].count(b"\n") + 1, "is not UTF-8", _named(file)) from None


def _named(file: Path) -> str:
    return FORM.name if file == FORM else str(file.relative_to(HERE.parent))


def _told(*command: str) -> str:
    ran = subprocess.run(command, cwd=HERE.parent, capture_output=True, text=True, check=False)  # noqa: S603
    return ran.stdout.strip()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "(not installed)"


def main(arguments: Sequence[str] | None = None) -> int:
    """0 done; 1 the report falls short; 2 it is malformed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["check", "html", "facts"])
    given = parser.parse_args(arguments)
    try:
        text = _read(FORM)
        if given.command == "check":
            short = check(text)
            print("\n".join(short) or "Every question is answered as it asks.")
            return bool(short)
        written, content = (HERE / "report.html", page(text)) if given.command == "html" else (FORM, fill(text))
        written.write_text(content, encoding="utf-8")
        print(f"wrote {written.relative_to(HERE.parent)}")
    except (Malformed, UserError) as wrong:
        print(wrong, file=sys.stderr)
        return 2
    except OSError as wrong:
        print(f"{FORM.name} cannot be read or written: {wrong}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
