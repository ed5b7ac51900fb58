"""A project beside what a repository already has: which files stay the repository's, and what they then lack."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from boatyard.config.errors import UserError
from boatyard.template.git import folders_of, git, listed
from boatyard.template.making.answers import PYTHONS, Answers

Blobs = Mapping[str, str]
"""By path, mode and object, as `git.blobs` has them."""

_OWN = re.compile(  # what stays the repository's where both have it; `by_hand` says what it lacks
    r"(README|CONTRIBUTING|LICENSE)(\.(md|rst|txt))?"
    r"|\.editorconfig|\.gitattributes|\.gitignore|\.python-version|\.pre-commit-config\.yaml"
)
_LICENSE = re.compile(r"(LICEN[CS]E|COPYING)(\.(md|rst|txt))?", re.IGNORECASE)
_NOTICE = "LICENSE.template"  # where a project that has another licence keeps the template's


def refuse_clashes(own: Blobs, added: Blobs) -> None:
    """Raises UserError: both have a file where only one of them can have it."""
    different = {path for path in added.keys() & own.keys() if own[path] != added[path] and not _OWN.fullmatch(path)}
    if clashes := different | (folders_of(own) & added.keys()) | (folders_of(added) & own.keys()):
        raise UserError(
            f"the repository has {listed(clashes)} of its own, where the template would have another: rename or move "
            "yours first, or make a project beside it"
        )


def refuse_python(root: Path) -> None:
    """Raises UserError: `.python-version` is one that the project does not run on."""
    if (version := _python(root)) and version not in PYTHONS:
        raise UserError(
            f".python-version says {version}, and the project runs on {', '.join(PYTHONS)}: change it first, or make a "
            "project beside it"
        )


def united(own: Blobs, added: Blobs) -> dict[str, str]:
    """The files of both; the template's notice goes beside a licence that stays."""
    both = {**added, **own}
    if _keeps_license(own, added):
        both.setdefault(_NOTICE, added["LICENSE"])
    return both


def by_hand(root: Path, own: Blobs, snapshot: str, added: Blobs, answers: Answers) -> Iterator[str]:
    """What is left to do, for each file that stays as it was."""
    if _keeps_license(own, added):
        yield (
            f"LICENSE stays yours, and the template's notice is in {_NOTICE}, where it must be kept: set `license` in "
            f"pyproject.toml, which says {answers.license}, to yours"
        )
    elif licenses := [path for path in own if path != "LICENSE" and _LICENSE.fullmatch(path)]:
        yield f"{listed(licenses)} stays yours, and LICENSE, of {answers.license}, came beside it: make them agree"
    for path in sorted(path for path in added.keys() & own.keys() if own[path] != added[path]):
        lines = (root / path).read_text(encoding="utf-8", errors="replace").splitlines()
        wanted = [line for line in git(root, "show", f"{snapshot}:{path}").splitlines() if line not in lines]
        if path == ".gitignore":
            if lacking := [line for line in wanted if line and not line.startswith(("#", "!"))]:
                yield f"{path} lacks {listed(lacking)}: `git show {snapshot[:12]}:{path} >> {path}` adds them"
        elif path == "README.md":
            if commands := [line for line in wanted if line.startswith("pip install uv && uv run invoke ")]:
                yield f"{path} lacks what .ci/run runs, each on a line of its own: `{'` and `'.join(commands)}`"
        elif path == ".python-version":
            if (version := _python(root)) and version != answers.python:
                yield f"{path} says {version}, and .github/workflows/ {answers.python}: make them agree"
        elif path != "LICENSE":
            yield f"{path} stays yours: `git show {snapshot[:12]}:{path}` is the template's"


def _keeps_license(own: Blobs, added: Blobs) -> bool:
    return "LICENSE" in own and own["LICENSE"] != added["LICENSE"]


def _python(root: Path) -> str | None:
    """The repository's, such as 3.12; None where it names none."""
    file = root / ".python-version"
    found = re.search(r"\d+\.\d+", file.read_text(encoding="utf-8", errors="replace")) if file.is_file() else None
    return found[0] if found else None
