"""Make a project from the template, and merge the template's later changes.

Snapshots of the template, under the project's name and less the parts that it left out, form a line of commits of their
own: `new` and `adopt` start the project's history with the first, `update` adds the next and merges it. Committer and
trailer together identify one: a squashed merge may have the same message, but another tree.
"""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from boatyard.config.errors import Failed, UserError
from boatyard.template.answers import FILE, Answers, kept_answers, write_answers
from boatyard.template.beside import by_hand, refuse_clashes, refuse_python, united
from boatyard.template.engine import Rendered, render
from boatyard.template.git import COMMITTER, blobs, fetch, folders_of, git, listed, move, write_tree
from boatyard.template.names import PACKAGE, TEMPLATE, Spelling

BRANCH = "template"
_LINES = "you and the template both changed {}: resolve what is between <<<<<<< and >>>>>>>, and `git add`"
_WHOLE = "you and the template both changed {}: `git checkout --ours` or `--theirs` chooses, then `git add`"
_GONE = "the template deleted {}, which you changed: `git add` keeps it, `git rm` lets it go"
_MOVED = "you and the template moved {} to different places: `git add` the one that stays, `git rm` the other"
_CONFLICTS = {  # by how `git status` shows yours and the template's
    "UU": _LINES,
    "AA": _LINES,
    "UD": _GONE,
    "DU": "",  # stays deleted
    "AU": _MOVED,
    "UA": _MOVED,
    "DD": _MOVED,
}


def new(folder: Path, answers: Answers, source: str, ref: str | None) -> str:
    """Make a repository in a folder that is not there yet, or is empty. Returns a message.

    Raises:
        UserError: The folder holds something, or an answer is wrong.
        Failed: git failed.
    """
    refuse_folder(folder)
    was_there = folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        git(folder, "init", "--quiet", "--initial-branch=main")
        _start(folder, _snapshot(folder, _state(folder, write_answers(answers), source, ref, "--new"), source))
    except BaseException:
        for path in sorted(folder.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
        if not was_there:
            folder.rmdir()
        raise
    return f"{folder} is {answers.name}, a repository with one commit; README.md there has its two commands"


def add_to(root: Path, answers: Answers, source: str, ref: str | None) -> str:
    """Add the project to an existing repository, in one commit that changes no file of it. Returns a message.

    Raises:
        UserError: Files of both have the same name, or something is not committed.
    """
    refuse_changes(root)
    refuse_python(root)
    _refuse_a_nobody(root)
    _refuse_another_branch(root)
    snapshot = _snapshot(root, _state(root, write_answers(answers), source, ref, "--new"), source)
    own, added = blobs(root, "HEAD"), blobs(root, snapshot)
    refuse_clashes(own, added)
    both = united(own, added)
    _refuse_untracked(root, both)
    message = f"Add {Spelling(answers.name).title}, made from the template"
    commit = git(root, "commit-tree", write_tree(root, both), "-p", "HEAD", "-p", snapshot, "-m", message)
    git(root, "branch", "--force", BRANCH, snapshot)
    git(root, "merge", "--quiet", "--ff-only", commit)
    told = [f"{len(both) - len(own)} files of {answers.name} were added in one commit, and none of yours is changed"]
    if left := [*by_hand(root, own, snapshot, added, answers)]:
        told += ["Merge by hand:", *(f"- {each}" for each in left)]
    return "\n".join(told)


def _refuse_untracked(root: Path, written: Iterable[str]) -> None:
    """Raises UserError: git would overwrite files that it ignores, which no commit has."""
    tracked = blobs(root, "HEAD").keys()
    folders = folders_of(tracked)
    found = {
        place
        for path in {*written} - tracked
        for place in (path, *(folder.as_posix() for folder in Path(path).parents))
        if place not in tracked and place not in folders and os.path.lexists(root / place)
        if place == path or not (root / place).is_dir()
    }
    if found:
        raise UserError(
            f"git ignores {listed(found)}, where the template would write a file of its own: move yours away, or "
            "commit it first"
        )


def adopt(root: Path, answers: Answers) -> str:
    """Make the clone the project, and start a new history with the result. Returns a message.

    Raises:
        UserError: The name is not available, or the clone was changed.
    """
    refuse_changes(root)
    _refuse_another_branch(root)
    if git(root, "remote") and (own := git(root, "rev-list", "--max-count=1", "HEAD", "--not", "--remotes")):
        raise UserError(
            f"commit {own[:12]} is not the template's, and the first update would revert it: adopt in a fresh "
            "clone, then make the change there"
        )
    recorded = git(root, "config", "--get", "--default=", "remote.origin.url")
    snapshot = _snapshot(root, _state(root, write_answers(answers), str(root), None, "--new"), recorded)
    _refuse_untracked(root, blobs(root, snapshot))
    _start(root, snapshot)
    git(root, "clean", "--quiet", "-fdX", "--", f"src/{TEMPLATE}")  # compiled bytecode
    if recorded:  # so that no push goes to the template
        git(root, "remote", "remove", "origin")
    gone = (
        f"; the remote origin, {_public(recorded)}, is removed, and updates still come from there" if recorded else ""
    )
    return (
        f"this is {answers.name} now, in its first commit; docs/how-to/update.md lists what is left to do by hand{gone}"
    )


def update(root: Path, source: str | None, ref: str | None, *, look: str | None = None) -> str:
    """Merge the newest state of the template, or of its branch or tag `ref`. Returns a message.

    `look`: change nothing: `check` fails if there is something new, `dry-run` says which files an update would change.

    Raises:
        UserError: This is no project made from the template, or the template's address is not known.
        Failed: git failed, or there are conflicts, which are left as by any merge.
    """
    if PACKAGE == TEMPLATE:
        raise UserError("this is the template itself: make a project of it with `invoke adopt NAME`")
    refuse_changes(root)
    snapshot = _snapshots(root, "HEAD", "--format=%H %T %(trailers:key=Template-Source,valueonly,separator=)")
    if not snapshot:
        raise UserError("this branch's history has no snapshot of the template, with which it begins after `adopt`")
    last, tree, recorded = snapshot.split(" ", 2)
    if (source := source or recorded) in ("", "unknown"):
        raise UserError("the template's address is not recorded: invoke update-template --source URL")
    answers = kept_answers(root)
    state = _state(root, answers, source, ref, *([] if answers else ["--only-rename", PACKAGE]))
    if state.rendered.package != PACKAGE:
        raise UserError(f"{FILE}: name must stay that of the package, src/{PACKAGE}")
    if state.tree == tree:
        return "nothing is new in the template"
    if look == "check":
        is_old = git(
            root, "log", "--max-count=1", "--format=%(trailers:key=Template-Commit,valueonly,separator=)", last
        )
        new = (
            f"{FILE} has other answers than the last update"
            if is_old == state.commit
            else "the template has something new"
        )
        raise Failed(f"{new}: `invoke update-template` merges it")
    if look == "dry-run":
        return git(root, "diff", "--stat", "--find-renames", last, state.tree)
    _refuse_a_nobody(root)
    _refuse_another_branch(root)
    known = blobs(root, last)
    _refuse_untracked(root, {path for path, blob in blobs(root, state.tree).items() if known.get(path) != blob})
    if moves := {before: after for before, after in state.rendered.renames.items() if before in known}:
        last = _rename(root, moves, last, state.date)
    git(root, "branch", "--force", BRANCH, _snapshot(root, state, source, last))
    return _merge(root)


def _rename(root: Path, moves: dict[str, str], last: str, date: str) -> str:
    """Merge the renames alone, so that git follows a file whatever it holds afterwards. Returns the new snapshot."""
    message = "What the template renamed"
    recorded = git(root, "log", "--max-count=1", "--format=%(trailers:unfold=true)", last)
    words = ["-p", last, "-m", message, "-m", recorded]
    snapshot = git(root, "commit-tree", move(root, last, moves), *words, **_as_template(DATE=date))
    words = ["-p", "HEAD", "-p", snapshot, "-m", message]
    merged = git(root, "commit-tree", move(root, "HEAD", moves), *words)
    git(root, "merge", "--quiet", "--ff-only", merged)
    return snapshot


def _merge(root: Path) -> str:
    """Merge the branch of snapshots; what the project has deleted stays deleted."""
    try:
        return git(root, "merge", "--no-ff", "--no-edit", BRANCH)
    except Failed:
        conflicts = _conflicts(root)
        if deleted := conflicts.pop("", []):
            git(root, "rm", "--quiet", "--", *deleted)
        if conflicts:
            told = "; ".join(text.format(", ".join(paths)) for text, paths in conflicts.items())
            raise Failed(f"{told}; then `git commit`, or `git merge --abort` to go back") from None
        if not deleted:
            raise
        git(root, "commit", "--quiet", "--no-edit")
        return f"merged; still deleted: {listed(deleted)}"


def _conflicts(root: Path) -> dict[str, list[str]]:
    """By what is to be done with them, the files that git could not merge."""
    found: dict[str, list[str]] = {}
    for line in git(root, "status", "--porcelain", "--no-renames", "-z").split("\0"):
        state, path = line[:2], line[3:]
        if state in _CONFLICTS:
            text = _CONFLICTS[state]
            is_marked = text != _LINES or b"<<<<<<<" in (root / path).read_bytes()
            found.setdefault(text if is_marked else _WHOLE, []).append(path)
    return found


@dataclass(frozen=True)
class _State:
    """The template at a commit, as the project has it."""

    commit: str
    date: str
    tree: str
    rendered: Rendered


def _state(root: Path, answers: str, source: str, ref: str | None, *flags: str) -> _State:
    """The template as its own engine makes it the project of these answers."""
    with TemporaryDirectory(prefix="template-") as folder:
        copy = Path(folder, "copy")
        commit, date = fetch(copy, source, ref)
        rendered = render(copy, answers, *flags)
        return _State(commit, date, write_tree(root, copy), rendered)


def _snapshot(root: Path, state: _State, recorded: str, *parents: str) -> str:
    """Commit the state; the commit is the same for whoever makes it."""
    trailers = f"Template-Commit: {state.commit}\nTemplate-Source: {_public(recorded) or 'unknown'}"
    words = ["-m", f"The template at {state.commit[:12]}", "-m", trailers]
    words += [word for parent in parents for word in ("-p", parent)]
    return git(root, "commit-tree", state.tree, *words, **_as_template(DATE=state.date))


def _public(address: str) -> str:
    """Without a password."""
    return re.sub(r"^(https?://)[^/@]+@", r"\1", address)


def _start(root: Path, commit: str) -> None:
    git(root, "branch", "--force", BRANCH, commit)
    git(
        root,
        "reset",
        "--quiet",
        "--keep" if git(root, "rev-list", "--max-count=1", "--all", "--not", commit) else "--hard",
        commit,
    )


def _as_template(**date: str) -> dict[str, str]:
    """Its identity in git's environment."""
    return {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in (COMMITTER | date).items()}


def _snapshots(root: Path, revision: str, *words: str) -> str:
    """What `git log` says of the last snapshot in this history, if there is one."""
    marks = [
        "--basic-regexp",
        "--committer=^{NAME} <{EMAIL}>$".format_map(COMMITTER),
        "--grep=^Template-Commit: [0-9a-f]",
    ]
    return git(root, "log", "--max-count=1", "--topo-order", *marks, *words, revision, "--")


def _refuse_a_nobody(root: Path) -> None:
    """Raises UserError: git has no name to commit under."""
    try:
        for role in ("AUTHOR", "COMMITTER"):
            git(root, "var", f"GIT_{role}_IDENT")
    except Failed:
        raise UserError(
            "git does not know who you are: set user.name and user.email with `git config`, or GIT_AUTHOR_NAME, "
            "GIT_AUTHOR_EMAIL, GIT_COMMITTER_NAME and GIT_COMMITTER_EMAIL"
        ) from None


def _refuse_another_branch(root: Path) -> None:
    """Raises UserError: the branch of snapshots cannot be moved, because somebody works on one of its name."""
    ref = f"refs/heads/{BRANCH}"
    found = git(root, "for-each-ref", "--format=%(objectname) %(worktreepath)", ref)
    if not found:
        return
    tip, _, place = found.partition(" ")
    if _snapshots(root, ref, "--format=%H") != tip:
        raise UserError(
            f"the branch {BRANCH} has commits of yours, and snapshots of the template go to a branch of this name: "
            f"rename yours, as in `git branch --move {BRANCH} {BRANCH}-of-ours`"
        )
    if place:
        raise UserError(f"the branch {BRANCH}, which is the template's, is checked out in {place}: switch to your own")


def refuse_folder(folder: Path) -> None:
    """Raises UserError: it holds something."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} is there already: choose another name, or add to a repository with --into {folder}")


def refuse_changes(root: Path) -> None:
    """Raises UserError: something is not committed."""
    if changed := git(root, "status", "--porcelain"):
        first = changed.splitlines()[0].split(maxsplit=1)[1]
        raise UserError(f"{first} is not committed: commit or discard your changes first, so that none are lost")
