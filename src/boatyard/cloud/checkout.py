"""The commit that is checked out here, by which images are tagged."""

from dataclasses import dataclass
from pathlib import Path

from boatyard.config.errors import UserError
from boatyard.train.tracking import git_commit


@dataclass(frozen=True)
class Checkout:
    """A commit, and whether the working tree differs from it."""

    commit: str
    changed: bool

    def refuse_changes(self) -> None:
        """Raises UserError if there are any: the commit's image does not hold them."""
        if self.changed:
            raise UserError(
                f"the image of commit {self.commit[:12]} does not hold your later changes: commit them and build"
            )


def read_checkout() -> Checkout | None:
    """None outside a repository."""
    commit, _, changes = (git_commit(Path.cwd()) or "").partition("+")
    return Checkout(commit, bool(changes)) if commit else None


def require_checkout() -> Checkout:
    """Raises UserError outside a repository."""
    if (checkout := read_checkout()) is None:
        raise UserError("images are tagged by commit: run this in the git repository that they are built from")
    return checkout
