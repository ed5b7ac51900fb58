"""From a copy of the template to a project: parts left out, the story told anew, everything renamed."""

import importlib.util
import os
import re
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath

from boatyard.template import TEMPLATE
from boatyard.template.engine import ANSWERS
from boatyard.template.git import run
from boatyard.template.making.answers import Answers, write_answers
from boatyard.template.making.cutting import drop_definitions
from boatyard.template.making.names import Spelling, check_free
from boatyard.template.making.parts import Manifest, Part, drop_marked, owns
from boatyard.template.making.prose import drop_heading, drop_key, prune_markdown
from boatyard.template.making.pruning import Gone, never_used, prune_tests
from boatyard.template.making.telling import choose_default, tell, unveil, veil, write_first_pages

_LICENSES = ("LICENSE", "LICENSE.template")  # require that their notices are kept
_NEVER = re.compile(r"(?!)")


def make_project(copy: Path, manifest: Manifest, answers: Answers, *, is_new: bool = True) -> None:
    """Make the copy, a clone, the project that the answers describe.

    Raises UserError: an answer is wrong, or the name of a new project is a word of the template.
    """
    manifest.check(answers.without)
    veiled = veil(answers)
    write_first_pages(copy, manifest, veiled)
    choose_default(copy, manifest, answers.without)
    leave_out(copy, manifest, manifest.with_taken(answers.without))
    if is_new:  # what the template says later is no reason to have another name
        check_free(answers.name, texts(copy))
    tell(copy, veiled)
    (copy / ANSWERS).write_text(write_answers(veiled), encoding="utf-8")
    finish(copy, Spelling(answers.name))
    for path, content in texts(copy):
        if (text := unveil(path, content, answers)) != content:
            (copy / path).write_bytes(text.encode(errors="surrogateescape"))


def finish(copy: Path, spelling: Spelling) -> None:
    """Rename everything; then fix the style, since imports were lost and line lengths and their order change."""
    for path, content in texts(copy):
        if path not in _LICENSES:
            text = spelling.replace_in(drop_marked(content, ()))
            (copy / path).write_bytes(text.encode(errors="surrogateescape"))
    for path in files(copy):
        if (renamed := spelling.replace_in(path)) != path:
            (copy / renamed).parent.mkdir(parents=True, exist_ok=True)
            (copy / path).rename(copy / renamed)
    shutil.rmtree(copy / "src" / TEMPLATE, ignore_errors=True)
    ignored = copy / ".gitignore"
    ignored.write_text(re.sub(r"\n+(#.*\n)?uv\.lock\n*$", "\n", ignored.read_text()))
    for words in (["check", "--select=F401,I", "--fix-only"], ["format"], ["check", "--select=E501", "--add-noqa"]):
        run(copy, *ruff(copy), *words, "--no-cache")
    run(copy, sys.executable, "requirements/lock.py", "--relabel")


def leave_out(copy: Path, manifest: Manifest, without: Sequence[str]) -> None:
    """Remove the parts, the template's own story, and all that refers to them."""
    parts = manifest.left_out(without)
    before, unused = files(copy), never_used(copy)
    gone = {path for path in before if any(owns(part, path) for part in parts)}
    for path in gone:
        (copy / path).unlink()
    for part in parts:
        for section in part.sections:
            _drop_section(copy, *section.split("::"))
    for path, content in texts(copy):
        kept = drop_marked(content, (*without, "story"))
        if kept != content:
            (copy / path).write_bytes(kept.encode(errors="surrogateescape"))
    _sub_nav(copy / "mkdocs.yml", gone)
    _drop_empty(copy)
    words = mentions(parts, gone, files(copy))
    kinds = {*without} & {*manifest.inputs, *manifest.tasks}
    helpers = {PurePosixPath(path).stem for path in files(copy) if path.startswith("tests/")}
    modules = {_module(path) for path in gone if path.endswith(".py")} - helpers
    prune_tests(copy, Gone(words, kinds, modules, _definitions(parts)), unused)
    gone |= {path for path in before if path.startswith("tests/")} - {*files(copy)}
    for path, content in texts(copy):
        if path.endswith(".md"):
            pruned = prune_markdown(content, PurePosixPath(path).parent, words, gone, kinds)
            (copy / path).write_text(pruned, encoding="utf-8")
    _drop_empty(copy)


def _sub_nav(file: Path, gone: set[str]) -> None:
    """The navigation less pages that are gone, and less groups that have none left."""
    pages = "|".join(re.escape(path.removeprefix("docs/")) for path in sorted(gone) if path.endswith(".md"))
    text = re.sub(rf"^ +- (.+: )?({pages})\n", "", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
    file.write_text(re.sub(r"^( +)- [^:\n]+:\n(?!\1 )", "", text, flags=re.MULTILINE), encoding="utf-8")


def _folder_of(path: str, kept: set[str]) -> str:
    """The outermost folder of a file that is gone in which nothing is left, or the file."""
    above = [folder.as_posix() for folder in PurePosixPath(path).parents][-2::-1]
    return next((folder for folder in above if folder not in kept), path)


def mentions(parts: list[Part], gone: set[str], left: Iterable[str]) -> re.Pattern[str]:
    """Matches what names something of the parts: their words, files, options and commands."""
    patterns = [word for part in parts for word in part.words]
    kept = {folder.as_posix() for path in left for folder in PurePosixPath(path).parents}
    for path in sorted({_folder_of(path, kept) for path in gone}):
        if match := re.fullmatch(r"configs/(\w+)/(\w+)\.yaml", path):
            patterns += [rf"\b{match[1]}={match[2]}\b", rf"(?<![\w/-]){re.escape(path)}"]
        elif not path.endswith("__init__.py"):
            patterns.append(rf"(?<![\w/-]){re.escape(path)}(?![\w-])")
            if path.startswith("src/"):
                patterns.append(rf"(?<![\w.]){re.escape(_module(path))}(?!\w)")
                inside = path.removeprefix(f"src/{TEMPLATE}/")
                patterns += [rf"(?<![\w/-]){re.escape(inside)}(?![\w-])"] if "/" in inside else []
    for part in parts:
        for section in part.sections:
            file, name = section.split("::")
            if file == "tasks.py":
                patterns.append(rf"\binvoke {re.escape(name.replace('cloud_', 'cloud.').replace('_', '-'))}(?![\w-])")
    return re.compile("|".join(patterns)) if patterns else _NEVER


def _module(path: str) -> str:
    """The dotted name of a file or folder; below tests/ only the last part, by which it is imported there."""
    dotted = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    return dotted.removeprefix("src.") if path.startswith("src/") else dotted.rpartition(".")[2]


def _definitions(parts: Iterable[Part]) -> dict[str, set[str]]:
    """By module, what its sections define."""
    found: dict[str, set[str]] = {}
    for part in parts:
        for section in part.sections:
            path, name = section.split("::")
            if path.endswith(".py"):
                found.setdefault(_module(path), set()).add(name)
    return found


def _drop_section(copy: Path, path: str, name: str) -> None:
    file = copy / path
    if not file.exists():
        return
    text = file.read_text(encoding="utf-8")
    if path.endswith(".py"):
        text = drop_definitions(text, {name})
    elif path.endswith(".md"):
        text = drop_heading(text, name)
    else:
        text = drop_key(text, name)
    file.write_text(text, encoding="utf-8")


def _drop_empty(copy: Path) -> None:
    """Remove folders in which nothing but empty packages is left."""
    for folder, _, _ in os.walk(copy, topdown=False):
        if ".git" not in Path(folder).relative_to(copy).parts and not any(Path(folder).iterdir()):
            Path(folder).rmdir()


def ruff(copy: Path) -> list[str]:
    """The command: as installed beside this Python, or as uv installs it, no newer than the project allows."""
    if importlib.util.find_spec("ruff"):
        return [sys.executable, "-m", "ruff"]
    until = re.search(r'^exclude-newer = "(.*)"', (copy / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    assert until
    return [os.environ.get("UV", "uv"), "tool", "run", "--quiet", f"--exclude-newer={until[1]}", "ruff"]


def files(root: Path) -> list[str]:
    """All but git's own, relative to `root`."""
    found = (Path(folder, name) for folder, _, names in os.walk(root) for name in names)
    paths = sorted(path.relative_to(root).as_posix() for path in found)
    return [path for path in paths if not path.startswith(".git/")]


def texts(root: Path) -> Iterator[tuple[str, str]]:
    """Each file that is text, with its content; lines end in LF, except in files of rows, whatever git wrote."""
    for path in files(root):
        file = root / path
        if not file.is_symlink() and b"\0" not in (content := file.read_bytes()):
            text = content.decode(errors="surrogateescape")
            yield path, text if path.endswith(".csv") else text.replace("\r\n", "\n")
