"""python -m boatyard.template.update [SOURCE]: merge the template's later changes."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from boatyard.config.console import refuse, say
from boatyard.config.errors import Failed, UserError
from boatyard.template import PACKAGE
from boatyard.template.engine import ANSWERS, kept_answers
from boatyard.template.git import blobs, git, listed, move, repository
from boatyard.template.refusals import refuse_a_nobody, refuse_another_branch, refuse_changes, refuse_untracked
from boatyard.template.snapshots import BRANCH, add_snapshot, as_template, last_snapshot, render_state

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


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status."""
    options = _parser().parse_args(arguments)
    look = "check" if options.check else "dry-run" if options.dry_run else None
    source = options.source
    if source and Path(source).exists():
        source = str(Path(source).resolve())
    try:
        say(update(repository(Path.cwd()), source, options.ref, look=look))
    except (Failed, OSError, UserError) as error:
        return refuse("update", error)
    except KeyboardInterrupt:
        return refuse("update", UserError("interrupted"))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"python -m {PACKAGE}.template.update", description="Merge the template's later changes."
    )
    parser.add_argument("source", nargs="?", help="its repository; by default that of the last update")
    parser.add_argument("--ref", help="a branch or tag of it")
    parser.add_argument("--check", action="store_true", help="change nothing; exit status 1 if there is something new")
    parser.add_argument("--dry-run", action="store_true", help="change nothing; list what would change")
    return parser


def update(root: Path, source: str | None, ref: str | None, *, look: str | None = None) -> str:
    """Merge the newest state of the template, or of its branch or tag `ref`. Returns a message.

    `look`: change nothing: `check` fails if there is something new, `dry-run` says which files an update would change.

    Raises:
        UserError: This is no project made from the template, or the template's address is not known.
        Failed: git failed, or there are conflicts, which are left as by any merge.
    """
    snapshot = last_snapshot(root, "HEAD", "--format=%H %T %(trailers:key=Template-Source,valueonly,separator=)")
    if not snapshot:
        raise UserError("this branch's history has no snapshot of the template, and that of a project begins with one")
    refuse_changes(root)
    last, tree, recorded = snapshot.split(" ", 2)
    if (source := source or recorded) in ("", "unknown"):
        raise UserError("the template's address is not recorded: invoke update-template --source URL")
    answers = kept_answers(root)
    state = render_state(root, answers, source, ref, *([] if answers else ["--only-rename", PACKAGE]))
    if state.rendered.package != PACKAGE:
        raise UserError(f"{ANSWERS}: name must stay that of the package, src/{PACKAGE}")
    if state.tree == tree:
        return "nothing is new in the template"
    if look == "check":
        is_old = git(
            root, "log", "--max-count=1", "--format=%(trailers:key=Template-Commit,valueonly,separator=)", last
        )
        new = (
            f"{ANSWERS} has other answers than the last update"
            if is_old == state.commit
            else "the template has something new"
        )
        raise Failed(f"{new}: `invoke update-template` merges it")
    if look == "dry-run":
        return git(root, "diff", "--stat", "--find-renames", last, state.tree)
    refuse_a_nobody(root)
    refuse_another_branch(root)
    known = blobs(root, last)
    refuse_untracked(root, {path for path, blob in blobs(root, state.tree).items() if known.get(path) != blob})
    if moves := {before: after for before, after in state.rendered.renames.items() if before in known}:
        last = _rename(root, moves, last, state.date)
    git(root, "branch", "--force", BRANCH, add_snapshot(root, state, source, last))
    return _merge(root)


def _rename(root: Path, moves: dict[str, str], last: str, date: str) -> str:
    """Merge the renames alone, so that git follows a file whatever it holds afterwards. Returns the new snapshot."""
    message = "What the template renamed"
    recorded = git(root, "log", "--max-count=1", "--format=%(trailers:unfold=true)", last)
    words = ["-p", last, "-m", message, "-m", recorded]
    snapshot = git(root, "commit-tree", move(root, last, moves), *words, **as_template(DATE=date))
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


if __name__ == "__main__":
    sys.exit(main())
