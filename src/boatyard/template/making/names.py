"""A project's name in all its spellings, and the template's name replaced by it."""

import keyword
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path, PurePosixPath

from boatyard.config.errors import UserError
from boatyard.template import TEMPLATE

TAKEN = Path(__file__).with_name("taken.txt")  # by what a project installs: tests/taken.py adds to it
_OLD = re.compile(TEMPLATE, re.IGNORECASE)
_IMPORTED = re.compile(rf"^ *import {TEMPLATE}$", re.MULTILINE)  # whose name is then one of the file's
_FOLDER = re.compile(r"""(src/|src", "|/ "|src\\|\[")$""")  # what stands before the name of the package's folder
_PROSE = ("LICENSE", "data/", "docs/", "encoders/", "reports/")
LONGEST = 20  # so that a service account of Google Cloud, such as NAME-release, stays below 30


@dataclass(frozen=True)
class Spelling:
    """`fraud-watch` for distributions, images and services; the package is `fraud_watch`."""

    name: str

    @property
    def package(self) -> str:
        """As Python has it."""
        return self.name.replace("-", "_")

    @property
    def title(self) -> str:
        """As prose has it: Fraud Watch."""
        return " ".join(word.capitalize() for word in self.name.split("-"))

    def replace_in(self, text: str) -> str:
        """`text` with this name in place of the template's, each time spelt as its place needs it."""
        return _OLD.sub(self._replacement, text)

    def _replacement(self, old: re.Match[str]) -> str:
        before, after = old.string[max(0, old.start() - 12) : old.start()], old.string[old.end() : old.end() + 10]
        if old[0] == TEMPLATE.upper():
            return self.package.upper()
        if old[0] == TEMPLATE.capitalize():
            joined = before[-1:].isalpha() or after[:1].isalpha()
            return self.title.replace(" ", "") if joined else self.title
        if old[0] != TEMPLATE:
            return old[0]
        return self.package if _is_identifier(before, after) else self.name


def _is_identifier(before: str, after: str) -> bool:
    """Whether Python reads the name between the two, as in `import NAME`, `NAME.api` and src/NAME."""
    if before.endswith("-") or after.startswith("-"):
        return False
    return bool(
        re.match(r"\w|\.[a-z_{*'\"]|\(|/configs| import\b", after)
        or re.search(r"[\w(]$|\w\.$|\bimport $|getLogger\(\"$", before)
        or (before.endswith(", ") and after.startswith(","))
        or _FOLDER.search(before)
    )


def check_name(name: str) -> None:
    """Raises UserError: the name cannot be a package's."""
    if not re.fullmatch(r"[a-z](-?[a-z0-9])+", name) or len(name) > LONGEST:
        raise UserError(
            f"{name!r}: a name is 2 to {LONGEST} lower-case letters, digits and single hyphens, the first a letter: a "
            "package, images and services are named after it"
        )
    package = Spelling(name).package
    installed = [place for place in sys.path if place and Path(place) != Path.cwd()]  # a folder that is here is none
    if keyword.iskeyword(package) or package in sys.stdlib_module_names or PathFinder.find_spec(package, installed):
        raise UserError(f"{name}: Python imports another module of this name: choose another")
    if name in TAKEN.read_text(encoding="utf-8").split():
        raise UserError(f"{name}: the project installs another package of this name: choose another")


def check_free(name: str, contents: Iterable[tuple[str, str]]) -> None:
    """Raises UserError: by this name one of these files, or something that it speaks of, could be meant instead."""
    package = Spelling(name).package
    variables = re.compile(rf"(?<![A-Za-z0-9_]){package.upper()}_[A-Z]")
    word = re.compile(rf"\b{package}\b")
    for path, content in contents:
        place = PurePosixPath(path)
        modules = place.with_suffix("").parts if path.endswith(".py") else place.parts[:-1]
        if not path.startswith("src/") and package in modules:
            raise UserError(f"{name}: Python could import {path} by this name: choose another")
        if not path.startswith(_PROSE) and variables.search(content):
            raise UserError(
                f"{name}: {path} has variables of something else that begin with {package.upper()}_: choose another"
            )
        if path.endswith(".py") and _IMPORTED.search(content) and word.search(content):
            raise UserError(f"{name}: {path} already calls something else that: choose another")
