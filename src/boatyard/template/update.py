"""python -m boatyard.template.update [--source ADDRESS]: merge the template's later changes."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from boatyard.config.console import refuse, say
from boatyard.config.errors import Failed, UserError
from boatyard.template import PACKAGE
from boatyard.template.engine import ANSWERS, kept_answers
from boatyard.template.git import absolute, blobs, git, listed, move, renames, repository
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


class Pending(Failed):
    """There is something to do: to merge what is new, or to finish a merge."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 1 only for what is pending."""
    options = _parser().parse_args(arguments)
    look = "check" if options.check else "dry-run" if options.dry_run else None
    try:
        source = absolute(options.source) if options.source else None
        say(update(repository(Path.cwd()), source, options.ref, look=look))
    except Pending as error:
        return refuse("update", error)
    except (Failed, OSError, UserError) as error:
        refuse("update", error)
        return 2
    except KeyboardInterrupt:
        return refuse("update", UserError("interrupted"))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"python -m {PACKAGE}.template.update",
        description="Merge the template's later changes.",
        epilog="Exit status 1: a merge is yours to finish, or with --check: there is something new. 2: nothing was "
        "changed, for the reason that is given.",
    )
    parser.add_argument("--source", help="the template's repository; by default that of the last update")
    parser.add_argument("--ref", help="a branch or tag of it")
    parser.add_argument("--check", action="store_true", help="change nothing; exit status 1 if there is something new")
    parser.add_argument("--dry-run", action="store_true", help="change nothing; list the files that would change")
    return parser


def update(root: Path, source: str | None, ref: str | None, *, look: str | None = None) -> str:
    """Merge the newest state of the template, or of its branch or tag `ref`. Returns a message.

    `look`: change nothing: `check` fails if there is something new, `dry-run` says which files an update would change.

    Raises:
        Pending: There are conflicts, which are left as by any merge; or `check` found something.
        UserError: This is no project made from the template, or the template's address is not known.
        Failed: git failed, and nothing was changed.
    """
    snapshot = last_snapshot(root, "HEAD", "--format=%H %T %(trailers:key=Template-Source,valueonly,separator=)")
    if not snapshot:
        if git(root, "rev-parse", "--is-shallow-repository") == "true":
            raise UserError(
                "this clone is shallow, and lacks the last snapshot of the template: `git fetch --unshallow`, or "
                "fetch-depth: 0 in a workflow"
            )
        raise UserError(
            "this branch's history has no snapshot of the template: what `new` or `adopt` made can be updated"
        )
    if not look:
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
        raise Pending(f"{new}: `invoke update-template` merges it")
    known = blobs(root, last)
    moves = {before: after for before, after in state.rendered.renames.items() if before in known}
    if look == "dry-run":
        return _would_change(root, last, state.tree, moves)
    refuse_a_nobody(root)
    refuse_another_branch(root)
    refuse_untracked(root, {path for path, blob in blobs(root, state.tree).items() if known.get(path) != blob})
    begun, parent = git(root, "rev-parse", "HEAD"), last
    if moves:
        parent = _rename(root, moves, last, state.date)
    git(root, "branch", "--force", BRANCH, add_snapshot(root, state, source, parent))
    try:
        return _merge(root, f"git reset --hard {begun[:12]}" if moves else "git merge --abort")
    except Pending:
        raise
    except Failed:
        git(root, "branch", "--force", BRANCH, last)
        if moves:
            git(root, "reset", "--quiet", "--keep", begun)
        raise


def _would_change(root: Path, last: str, tree: str, moves: dict[str, str]) -> str:
    """As `git diff --stat` has it, less what the project has deleted, wherever the template has it now."""
    places = renames(root, last, tree) | moves
    kept = blobs(root, "HEAD").keys() | renames(root, last, "HEAD").keys()
    gone = blobs(root, last).keys() - kept
    less = [f":(exclude,literal){path}" for each in sorted(gone) for path in (each, places.get(each)) if path]
    return git(root, "diff", "--stat", "--find-renames", last, tree, "--", ".", *less) or "no file would change"


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


def _merge(root: Path, undo: str) -> str:
    """Merge the branch of snapshots; what the project has deleted stays deleted. `undo`: what goes back."""
    try:
        return git(root, "merge", "--no-ff", "--no-edit", BRANCH)
    except Failed as error:
        if not git(root, "status", "--porcelain"):  # it did not begin
            raise
        reason = str(error).removesuffix(".")
    conflicts = _conflicts(root)
    if deleted := conflicts.pop("", []):
        git(root, "rm", "--quiet", "--", *deleted)
    if conflicts:
        reason = "; ".join(text.format(", ".join(paths)) for text, paths in conflicts.items())
    elif deleted:
        try:
            git(root, "commit", "--quiet", "--no-edit")
        except Failed as error:
            reason = str(error).removesuffix(".")
        else:
            return f"merged; still deleted: {listed(deleted)}"
    raise Pending(f"{reason}; then `git commit`, or `{undo}` to go back")


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
