"""What is checked out here, since images are named by their commit."""

from dataclasses import dataclass
from pathlib import Path

from boatyard.config.errors import UserError
from boatyard.train.tracking import git_commit


@dataclass(frozen=True)
class Checkout:
    """A commit, and whether files differ from it."""

    commit: str
    changed: bool

    def refuse_changes(self) -> None:
        """Raises UserError: the commit's image does not hold them."""
        if self.changed:
            raise UserError(
                f"the image of commit {self.commit[:12]} does not hold what you changed since: commit it and build"
            )


def read_checkout() -> Checkout | None:
    """What the working folder is a checkout of; None outside a repository."""
    commit, _, changes = (git_commit(Path.cwd()) or "").partition("+")
    return Checkout(commit, bool(changes)) if commit else None


def require_checkout() -> Checkout:
    """Raises UserError outside a repository."""
    if (found := read_checkout()) is None:
        raise UserError("the image is the commit's: run this in the git repository that it was built from")
    return found
