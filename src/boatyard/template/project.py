"""Make a project from the template, and merge the template's later changes.

Snapshots of the template, under the project's name, form a line of commits of their own: `adopt` starts the project's
history with the first, `update` adds the next and merges it. They are identified by their committer, because a squashed
merge may have the same message but another tree.
"""

import importlib.util
import keyword
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from boatyard.config.errors import Failed, UserError

NAME = "boatyard"  # this project's
TEMPLATE = "boat" + "yard"  # split, so that renaming leaves it alone
BRANCH = "template"
_COMMITTER = {"NAME": "template", "EMAIL": "template@localhost"}
_OWN_TESTS = "tests/integration/test_template.py"  # which a project does not need
_LICENSE = "LICENSE"  # requires that its notice is kept
_FREE = ("data/", "encoders/", _LICENSE, _OWN_TESTS)  # may contain the project's name as a word, as prose may


def adopt(root: Path, name: str) -> str:
    """Rename everything in the clone, and start a new history with the result. Returns a message.

    Raises:
        UserError: The name is not available, or the clone was changed.
    """
    if NAME != TEMPLATE:
        raise UserError(f"this already is a project of its own, {NAME}")
    _refuse_changes(root)
    _refuse_name(root, name)
    if git(root, "remote") and (own := git(root, "rev-list", "--max-count=1", "HEAD", "--not", "--remotes")):
        raise UserError(
            f"commit {own[:12]} is not the template's, and the first update would revert it: adopt in a fresh "
            "clone, then make the change there"
        )
    commit = _make_commit(root, str(root), None, name, git(root, "config", "--get", "--default=", "remote.origin.url"))
    git(root, "branch", "--force", BRANCH, commit)
    git(root, "reset", "--quiet", "--keep", commit)
    git(root, "clean", "--quiet", "-fdX", "--", f"src/{TEMPLATE}")  # compiled bytecode
    return f"this is {name} now, in its first commit; docs/how-to/adopt.md lists what is left to do by hand"


def update(root: Path, source: str | None, ref: str | None) -> str:
    """Merge the newest state of the template, or of its branch or tag `ref`. Returns a message.

    Raises:
        UserError: This is not an adopted project, or the template's address is not known.
        Failed: git failed, or there are conflicts, which are left as by any merge.
    """
    if NAME == TEMPLATE:
        raise UserError("this is the template itself: make it a project with `invoke adopt NAME`")
    _refuse_changes(root)
    committer = "--committer=^{NAME} <{EMAIL}>$".format_map(_COMMITTER)
    trailer = "%(trailers:key=Template-Source,valueonly,separator=)"
    snapshot = git(root, "log", "--max-count=1", "--topo-order", committer, f"--format=%H %T {trailer}")
    if not snapshot:
        raise UserError("this branch's history has no snapshot of the template, with which it begins after `adopt`")
    last, tree, recorded = snapshot.split(" ", 2)
    if (source := source or recorded) == "unknown":
        raise UserError("the template's address is not recorded: invoke update-template --source URL")
    commit = _make_commit(root, source, ref, NAME, source, last)
    if git(root, "rev-parse", f"{commit}^{{tree}}") == tree:
        return "nothing is new in the template"
    git(root, "branch", "--force", BRANCH, commit)
    try:
        return git(root, "merge", "--no-ff", "--no-edit", BRANCH)
    except Failed:
        if not (files := git(root, "diff", "--name-only", "--diff-filter=U").splitlines()):
            raise
        raise Failed(
            f"you and the template both changed {', '.join(files)}: resolve the conflicts between <<<<<<< and >>>>>>>, "
            "then `git add` and `git commit`; `git merge --abort` goes back"
        ) from None


def _make_commit(root: Path, source: str, ref: str | None, name: str, recorded: str, *parents: str) -> str:
    """Commit a snapshot of the template under the project's name; the commit is the same for whoever makes it."""
    with TemporaryDirectory(prefix="template-") as folder:
        copy, index = Path(folder, "copy"), Path(folder, "index")
        branch = [f"--branch={ref}"] if ref else []
        git(root, "clone", "--quiet", "--depth=1", *branch, "--", source, str(copy))
        state, date = git(copy, "log", "--max-count=1", "--format=%H %cI").split()
        _rename(copy, name)
        repository = ("--git-dir", git(root, "rev-parse", "--absolute-git-dir"), "--work-tree", str(copy))
        git(copy, *repository, "add", "--all", "--force", GIT_INDEX_FILE=str(index))
        tree = git(copy, *repository, "write-tree", GIT_INDEX_FILE=str(index))
    identity = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in _COMMITTER.items()}
    dates = {"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date}
    public = re.sub(r"^(https?://)[^/@]+@", r"\1", recorded)  # without a password
    message = [f"The template at {state[:12]}", f"Template-Commit: {state}\nTemplate-Source: {public or 'unknown'}"]
    options = [word for part in message for word in ("-m", part)] + [
        word for parent in parents for word in ("-p", parent)
    ]
    return git(root, "commit-tree", tree, *options, **identity, **dates)


def _rename(copy: Path, name: str) -> None:
    """Replace the name in contents and paths; then fix the style, since line lengths and import order change."""
    spellings = {TEMPLATE: name, TEMPLATE.capitalize(): name.capitalize(), TEMPLATE.upper(): name.upper()}

    def renamed(text: str) -> str:
        for old, new in spellings.items():
            text = text.replace(old, new)
        return text

    (copy / _OWN_TESTS).unlink(missing_ok=True)
    for path, content in _texts(copy):
        if path == _LICENSE:
            continue
        (copy / path).write_bytes(renamed(content).encode(errors="surrogateescape"))
    for path in _tracked(copy):
        if renamed(path) != path and os.path.lexists(copy / path):
            (copy / renamed(path)).parent.mkdir(parents=True, exist_ok=True)
            (copy / path).rename(copy / renamed(path))
    ignored = copy / ".gitignore"
    ignored.write_text(re.sub(r"\n+(#.*\n)?uv\.lock\n*$", "\n", ignored.read_text()))
    for words in (["check", "--select=I", "--fix-only"], ["format"], ["check", "--select=E501", "--add-noqa"]):
        _run(copy, sys.executable, "-m", "ruff", *words, "--quiet", "--no-cache")


def _refuse_changes(root: Path) -> None:
    if not (root / "src" / NAME / "template").is_dir():
        raise UserError(f"this is not the repository of {NAME}: run it there")
    if changed := git(root, "status", "--porcelain"):
        first = changed.splitlines()[0].split(maxsplit=1)[1]
        raise UserError(f"{first} is not committed: commit or discard your changes first, so that none are lost")


def _refuse_name(root: Path, name: str) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9]{1,19}", name):
        raise UserError(
            f"{name!r}: a name is 2 to 20 lower-case letters and digits, the first a letter: a package, images and "
            "services are named after it"
        )
    if keyword.iskeyword(name) or name in sys.stdlib_module_names or importlib.util.find_spec(name):
        raise UserError(f"{name}: Python imports another module of this name: choose another")
    word = re.compile(rf"(?<![a-z0-9]){name}(?![a-z0-9])", re.IGNORECASE)
    texts = (text for text in _texts(root) if not text[0].startswith(_FREE) and not text[0].endswith(".md"))
    for path, content in texts:
        if word.search(path) or word.search(content):
            raise UserError(
                f"{name}: {path} already has this word, so the two could not be distinguished: choose another"
            )


def _tracked(root: Path) -> list[str]:
    return git(root, "ls-files", "-z").split("\0")[:-1]


def _texts(root: Path) -> Iterator[tuple[str, str]]:
    for path in _tracked(root):
        file = root / path
        if file.is_file() and not file.is_symlink() and b"\0" not in (content := file.read_bytes()):
            yield path, content.decode(errors="surrogateescape")


def git(folder: Path, *words: str, **environment: str) -> str:
    """The output of a git command. Raises Failed."""
    return _run(folder, "git", *words, **environment)


def _run(folder: Path, *words: str, **environment: str) -> str:
    process = subprocess.run(words, cwd=folder, env=os.environ | environment, capture_output=True, text=True)  # noqa: S603
    if process.returncode:
        raise Failed(f"{' '.join(words[:3])}: {(process.stderr or process.stdout).strip()}")
    return process.stdout.rstrip("\n")
