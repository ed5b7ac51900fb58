"""Which files and lines belong to which part of the template, and which parts a project leaves out."""

import re
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from boatyard.config.errors import UserError, suggestion
from boatyard.template import TEMPLATE

MANIFEST = Path("src", TEMPLATE, "template", "making", "parts.toml")


@dataclass(frozen=True)
class Part:
    """One that can be left out. Patterns are fnmatch's: `*` matches `/` too."""

    about: str
    paths: Sequence[str] = ()
    keep: Sequence[str] = ()
    """Exceptions from `paths`."""
    sections: Sequence[str] = ()
    """FILE::NAME: a definition of Python, a key or a list's named item of YAML, or a heading of Markdown."""
    takes: Sequence[str] = ()
    """Parts of which nothing is left without it."""
    words: Sequence[str] = ()
    """Regular expressions: a test's definition, a command or a row of a table in docs/ that has one is about it."""


@dataclass(frozen=True)
class System:
    """An input and a task with bundled rows: what the two commands run where both are kept."""

    input: str
    task: str
    model: str
    about: str


@dataclass(frozen=True)
class Manifest:
    """parts.toml."""

    inputs: Sequence[str]
    tasks: Sequence[str]
    parts: dict[str, Part]
    systems: dict[str, System]
    story: Part
    """The template's own: what no project has."""
    defaults: Sequence[dict[str, str]] = field(default_factory=tuple)
    """Where the default system and its model are named: `path`, a glob, the `text`, and by system another."""
    renames: Sequence[dict[str, str]] = field(default_factory=tuple)
    """Paths that the template has given another name, `before` and `after`: an update moves them in projects too."""

    def check(self, without: Sequence[str]) -> None:
        """Raises UserError: there is no such part, or no bundled system is left."""
        for name in without:
            if name not in self.parts:
                raise UserError(f"no part {name!r}: {suggestion(name, sorted(self.parts), most=20)}")
        self.default_system(without)

    def default_system(self, without: Sequence[str]) -> str:
        """The first bundled system of which both halves are kept. Raises UserError."""
        for name, system in self.systems.items():
            if not {system.input, system.task} & {*without}:
                return name
        pairs = ", ".join(f"{each.input} and {each.task}" for each in self.systems.values())
        raise UserError(f"no bundled rows are left to run the pipeline on: keep {pairs.replace(', ', '; or ')}")

    def with_taken(self, without: Sequence[str]) -> list[str]:
        """These parts, and those that go with them."""
        return list(dict.fromkeys([*without, *(taken for name in without for taken in self.parts[name].takes)]))

    def left_out(self, without: Iterable[str], *, project: bool = True) -> list[Part]:
        """The parts of these names, and in a project the template's own."""
        return [*(self.parts[name] for name in without), *([self.story] if project else [])]


def read_manifest(file: Path) -> Manifest:
    """That of a copy of the template. Raises UserError: the copy is older than manifests."""
    if not file.exists():
        raise UserError("this state of the template knows no parts: choose a newer one")
    told: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"))
    return Manifest(
        told["inputs"],
        told["tasks"],
        {name: Part(**each) for name, each in told["parts"].items()},
        {name: System(**each) for name, each in told["systems"].items()},
        Part(**told["story"]),
        told.get("defaults", ()),
        told.get("renames", ()),
    )


def owns(part: Part, path: str) -> bool:
    """Whether the file is the part's as a whole."""
    return any(fnmatchcase(path, each) for each in part.paths) and not any(
        fnmatchcase(path, each) for each in part.keep
    )


_MARK = r"(?:(?:#|//|<!--)[ ]*part:[ ]*(?P<names>[a-z, ]+?)[ ]*(?:-->)?)"
_BLOCK = re.compile(rf"^[ \t]*{_MARK}\n(?P<body>.*?)^[ \t]*(?:#|//|<!--) part end(?: -->)?\n", re.DOTALL | re.MULTILINE)
_LINE = re.compile(rf"^(?P<body>.*\S)[ ]+{_MARK}$\n", re.MULTILINE)


def drop_marked(text: str, without: Iterable[str]) -> str:
    """The text less the marked lines of these parts, and less all marks.

    `# part: NAME` ends a line of the part, or alone on one begins a block up to `# part end`; of several names it is
    enough that one is left out.
    """
    gone = {*without}

    def kept(match: re.Match[str]) -> str:
        if gone & {name.strip() for name in match["names"].split(",")}:
            return ""
        return match["body"] if match.re is _BLOCK else match["body"] + "\n"

    return _LINE.sub(kept, _BLOCK.sub(kept, text))
