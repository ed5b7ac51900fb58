"""Make a project's repository, or make it in one that is there: its history begins with the first snapshot."""

from pathlib import Path

from boatyard.config.errors import UserError
from boatyard.template import TEMPLATE
from boatyard.template.git import blobs, git, public, write_tree
from boatyard.template.making.answers import Answers, write_answers
from boatyard.template.making.beside import by_hand, refuse_clashes, refuse_python, united
from boatyard.template.making.names import Spelling
from boatyard.template.refusals import refuse_a_nobody, refuse_another_branch, refuse_changes, refuse_untracked
from boatyard.template.snapshots import BRANCH, add_snapshot, render_state


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
        _start(folder, _first_snapshot(folder, answers, source, ref, recorded=source))
    except BaseException:
        for path in sorted(folder.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
        if not was_there:
            folder.rmdir()
        raise
    return (
        f"created {answers.name} in {folder}, a git repository with one commit; "
        "its README.md has the two commands to begin with"
    )


def add_to(root: Path, answers: Answers, source: str, ref: str | None) -> str:
    """Add the project to an existing repository, in one commit that changes no file of it. Returns a message.

    Raises:
        UserError: Files of both have the same name, or something is not committed.
    """
    refuse_changes(root)
    refuse_python(root)
    refuse_a_nobody(root)
    refuse_another_branch(root)
    snapshot = _first_snapshot(root, answers, source, ref, recorded=source)
    own, added = blobs(root, "HEAD"), blobs(root, snapshot)
    refuse_clashes(own, added)
    both = united(own, added)
    refuse_untracked(root, both)
    message = f"Add {Spelling(answers.name).title}, made from the template"
    commit = git(root, "commit-tree", write_tree(root, both), "-p", "HEAD", "-p", snapshot, "-m", message)
    git(root, "branch", "--force", BRANCH, snapshot)
    git(root, "merge", "--quiet", "--ff-only", commit)
    told = [f"{len(both) - len(own)} files of {answers.name} were added in one commit, and none of yours is changed"]
    if left := [*by_hand(root, own, snapshot, added, answers)]:
        told += ["Merge by hand:", *(f"- {each}" for each in left)]
    return "\n".join(told)


def adopt(root: Path, answers: Answers) -> str:
    """Make the clone the project, and start a new history with the result. Returns a message.

    Raises:
        UserError: The name is not available, or the clone was changed.
    """
    refuse_changes(root)
    refuse_another_branch(root)
    if git(root, "remote") and (own := git(root, "rev-list", "--max-count=1", "HEAD", "--not", "--remotes")):
        raise UserError(
            f"commit {own[:12]} is not the template's, and the first update would revert it: adopt in a fresh "
            "clone, then make the change there"
        )
    recorded = git(root, "config", "--get", "--default=", "remote.origin.url")
    snapshot = _first_snapshot(root, answers, str(root), None, recorded=recorded)
    refuse_untracked(root, blobs(root, snapshot))
    _start(root, snapshot)
    git(root, "clean", "--quiet", "-fdX", "--", f"src/{TEMPLATE}")  # compiled bytecode
    if recorded:  # so that no push goes to the template
        git(root, "remote", "remove", "origin")
    gone = f"; the remote origin, {public(recorded)}, is removed, and updates still come from there" if recorded else ""
    return (
        f"this is {answers.name} now, in its first commit; docs/how-to/update.md lists what is left to do by hand{gone}"
    )


def _first_snapshot(root: Path, answers: Answers, source: str, ref: str | None, *, recorded: str) -> str:
    return add_snapshot(root, render_state(root, write_answers(answers), source, ref, "--new"), recorded)


def _start(root: Path, commit: str) -> None:
    git(root, "branch", "--force", BRANCH, commit)
    git(
        root,
        "reset",
        "--quiet",
        "--keep" if git(root, "rev-list", "--max-count=1", "--all", "--not", commit) else "--hard",
        commit,
    )


def refuse_folder(folder: Path) -> None:
    """Raises UserError: it holds something."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} is there already: choose another name, or add to a repository with --into {folder}")
