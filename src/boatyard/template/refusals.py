"""Where nothing is merged or added, because something would be lost or could not be committed."""

import os
from collections.abc import Iterable
from pathlib import Path

from boatyard.config.errors import Failed, UserError
from boatyard.template.git import blobs, folders_of, git, listed
from boatyard.template.snapshots import BRANCH, last_snapshot


def refuse_changes(root: Path) -> None:
    """Raises UserError: something is not committed, but for what uv locks whenever it runs."""
    if changed := git(root, "status", "--porcelain", "--", ":(exclude,top)uv.lock"):
        first = changed.splitlines()[0].split(maxsplit=1)[1]
        raise UserError(f"{first} is not committed: commit or discard your changes first, so that none are lost")


def refuse_untracked(root: Path, written: Iterable[str]) -> None:
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


def refuse_a_nobody(root: Path) -> None:
    """Raises UserError: git has no name to commit under."""
    try:
        for role in ("AUTHOR", "COMMITTER"):
            git(root, "var", f"GIT_{role}_IDENT")
    except Failed:
        raise UserError(
            "git does not know who you are: set user.name and user.email with `git config`, or GIT_AUTHOR_NAME, "
            "GIT_AUTHOR_EMAIL, GIT_COMMITTER_NAME and GIT_COMMITTER_EMAIL"
        ) from None


def refuse_another_branch(root: Path) -> None:
    """Raises UserError: the branch of snapshots cannot be moved, because somebody works on one of its name."""
    ref = f"refs/heads/{BRANCH}"
    found = git(root, "for-each-ref", "--format=%(objectname) %(worktreepath)", ref)
    if not found:
        return
    tip, _, place = found.partition(" ")
    if last_snapshot(root, ref, "--format=%H") != tip:
        raise UserError(
            f"the branch {BRANCH} has commits of yours, and snapshots of the template go to a branch of this name: "
            f"rename yours, as in `git branch --move {BRANCH} {BRANCH}-of-ours`"
        )
    if place:
        raise UserError(f"the branch {BRANCH}, which is the template's, is checked out in {place}: switch to your own")
