"""Snapshots of the template: its states, under the project's name and less the parts that it left out.

They form a line of commits of their own, the branch `template`: a project's history begins with the first, and `update`
adds the next and merges it. Committer and trailer together identify one: a squashed merge may have the same message,
but another tree.
"""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from boatyard.template.engine import Rendered, render
from boatyard.template.git import fetch, git, public, write_tree

BRANCH = "template"
_COMMITTER = {"NAME": "template", "EMAIL": "template@localhost"}


@dataclass(frozen=True)
class State:
    """The template at a commit, as the project has it."""

    commit: str
    date: str
    tree: str
    rendered: Rendered


def render_state(root: Path, answers: str, source: str, ref: str | None, *flags: str) -> State:
    """The template as its own engine makes it the project of these answers."""
    with TemporaryDirectory(prefix="template-") as folder:
        copy = Path(folder, "copy")
        commit, date = fetch(copy, source, ref)
        rendered = render(copy, answers, *flags)
        return State(commit, date, write_tree(root, copy), rendered)


def add_snapshot(root: Path, state: State, recorded: str, *parents: str) -> str:
    """Commit the state; the commit is the same for whoever makes it."""
    trailers = f"Template-Commit: {state.commit}\nTemplate-Source: {public(recorded) or 'unknown'}"
    words = ["-m", f"The template at {state.commit[:12]}", "-m", trailers]
    words += [word for parent in parents for word in ("-p", parent)]
    return git(root, "commit-tree", state.tree, *words, **as_template(DATE=state.date))


def last_snapshot(root: Path, revision: str, *words: str) -> str:
    """What `git log` says of the last snapshot in this history, if there is one."""
    marks = [
        "--basic-regexp",
        "--committer=^{NAME} <{EMAIL}>$".format_map(_COMMITTER),
        "--grep=^Template-Commit: [0-9a-f]",
    ]
    return git(root, "log", "--max-count=1", "--topo-order", *marks, *words, revision, "--")


def as_template(**date: str) -> dict[str, str]:
    """Its identity in git's environment."""
    return {
        f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in (_COMMITTER | date).items()
    }
