"""Snapshots in git: fetched, written and moved without touching a working tree."""

import os
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

from boatyard.config.errors import Failed, UserError


def run(folder: Path, *words: str, given: str | None = None, **environment: str) -> str:
    """The output of a command; `given` is its input. Raises Failed."""
    settings = os.environ | environment
    process = subprocess.run(words, cwd=folder, env=settings, input=given, capture_output=True, text=True)  # noqa: S603
    if process.returncode:
        raise Failed(public(f"{' '.join(words[:3])}: {(process.stderr or process.stdout).strip()}"))
    return process.stdout.rstrip("\n")


def git(folder: Path, *words: str, **environment: str) -> str:
    """The output of a git command. Raises Failed."""
    return run(folder, "git", *words, **environment)


def public(text: str) -> str:
    """Without the passwords of addresses in it."""
    return re.sub(r"(https?://)[^/\s]+@", r"\1", text, flags=re.IGNORECASE)


def absolute(source: str) -> str:
    """An address as it is; a folder that is here as any working directory has it."""
    return str(Path(source).resolve()) if "://" not in source and Path(source).exists() else source


def repository(folder: Path) -> Path:
    """The root of the working tree that the folder is in. Raises UserError: there is none, or no commit in it."""
    if not folder.is_dir():
        raise UserError(f"{folder}: there is no such folder")
    try:
        root = Path(git(folder, "rev-parse", "--show-toplevel"))
    except Failed:
        raise UserError(f"{folder.resolve()} is not in a git repository with a working tree") from None
    try:
        git(root, "rev-parse", "--quiet", "--verify", "HEAD")
    except Failed:
        raise UserError(f"the repository {root} has no commit yet: make its first one") from None
    return root


def fetch(copy: Path, source: str, ref: str | None) -> tuple[str, str]:
    """Check out a commit, branch or tag of the source, its newest state by default; returns the commit and its date."""
    copy.mkdir()
    git(copy, "init", "--quiet")
    try:
        git(copy, "fetch", "--quiet", "--depth=1", "--", source, ref or "HEAD")
        git(copy, "checkout", "--quiet", "--detach", "FETCH_HEAD")
    except Failed as error:
        if not ref or len(ref) != 40:
            reason = str(error).rpartition("fatal: ")[2].splitlines()[0]
            raise Failed(f"{ref or 'the template'} cannot be fetched from {public(source)}: {reason}") from None
        git(copy, "fetch", "--quiet", "--", source, "+refs/*:refs/source/*")  # it hands out no single commit
        git(copy, "checkout", "--quiet", "--detach", ref)
    commit, date = git(copy, "log", "--max-count=1", "--format=%H %cI").split()
    return commit, date


def blobs(root: Path, commit: str) -> dict[str, str]:
    """By path, mode and object of each file of a commit, as `git update-index --index-info` takes them."""
    lines = git(root, "ls-tree", "-r", "-z", commit).split("\0")
    return {path: info for line in lines if line for info, path in [line.split("\t", 1)]}


def write_tree(root: Path, content: Path | dict[str, str]) -> str:
    """Store a folder, or files that are stored already, as a tree in the repository; returns the tree."""
    with TemporaryDirectory(prefix="template-") as folder:
        index = {"GIT_INDEX_FILE": str(Path(folder, "index"))}
        if isinstance(content, Path):
            repository = ("--git-dir", git(root, "rev-parse", "--absolute-git-dir"), "--work-tree", str(content))
            git(content, *repository, "add", "--all", "--force", **index)
            return git(content, *repository, "write-tree", **index)
        listed = "".join(f"{info}\t{path}\0" for path, info in content.items())
        run(root, "git", "update-index", "-z", "--add", "--index-info", given=listed, **index)
        return git(root, "write-tree", **index)


def move(root: Path, commit: str, moves: dict[str, str]) -> str:
    """The tree of a commit with files under other names, where these are free: git follows what is the same."""
    content = blobs(root, commit)
    free = {before: after for before, after in moves.items() if after not in content}
    return write_tree(root, {free.get(path, path): info for path, info in content.items()})


def renames(root: Path, before: str, after: str) -> dict[str, str]:
    """By its path before, the path of each file that git takes for the same under another name."""
    words = ("diff", "--name-status", "-z", "--find-renames", "--diff-filter=R", before, after)
    told = git(root, *words).split("\0")
    return dict(zip(told[1::3], told[2::3], strict=True))


def folders_of(paths: Iterable[str]) -> set[str]:
    """All that these files are in."""
    return {folder.as_posix() for path in paths for folder in Path(path).parents}


def listed(paths: Iterable[str]) -> str:
    """The first five, and how many more there are."""
    names = sorted(paths)
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return f"{', '.join(names[:5])}{more}"
