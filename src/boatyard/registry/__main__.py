"""python -m boatyard.registry models | promote NAME VERSION | rollback NAME, on BOATYARD_STORAGE."""

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from boatyard.bundle.manifest import BundleError
from boatyard.config.console import refuse, say
from boatyard.config.errors import UserError
from boatyard.registry.alias import ANYWHERE, aliases, promote, rollback
from boatyard.registry.reference import DEFAULT_ALIAS, exact
from boatyard.registry.version import fetch, names, read_manifest, versions
from boatyard.storage import Storage, open_storage


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m boatyard.registry models | promote NAME VERSION | rollback NAME`, on BOATYARD_STORAGE."""
    parser = argparse.ArgumentParser(prog="python -m boatyard.registry")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("models", help="what is published, and what each alias points at")
    moving = {
        "promote": commands.add_parser("promote", help="point an alias at a version"),
        "rollback": commands.add_parser("rollback", help="point an alias at what it pointed at before"),
    }
    for command in moving.values():
        command.add_argument("name")
        command.add_argument("--alias", default=DEFAULT_ALIAS)
        command.add_argument(
            "--expected", metavar="VERSION", default=ANYWHERE, help="move it only from there; 'none': only a new alias"
        )
    moving["promote"].add_argument("version")
    chosen = parser.parse_args(arguments)
    try:
        storage = open_storage(os.environ.get("BOATYARD_STORAGE") or ".")
        if chosen.command == "models":
            lines = list(_listing(storage)) or ["nothing is published yet: `invoke pipeline` does it"]
        else:
            if chosen.command == "promote":
                _try(storage, chosen.name, chosen.version)
            expected = None if chosen.expected == "none" else chosen.expected
            moved = (
                promote(storage, chosen.name, chosen.version, chosen.alias, expected=expected)
                if chosen.command == "promote"
                else rollback(storage, chosen.name, chosen.alias, expected=expected)
            )
            lines = [f"{chosen.name}@{chosen.alias} is {moved.version}"]
    except (OSError, UserError) as wrong:
        return refuse(chosen.command, wrong)
    say("\n".join(lines))
    return 0


def _try(storage: Storage, name: str, version: str) -> None:
    """Raises UserError: there is no such version, or no server could answer with it."""
    from boatyard.bundle.predict import open_predictor  # a second, which nothing else here needs

    with TemporaryDirectory() as cache:
        open_predictor(fetch(storage, exact(name, version), Path(cache)))


def _listing(storage: Storage) -> Iterator[str]:
    for name in names(storage):
        pointed = aliases(storage, name)
        yield name
        for version in versions(storage, name):
            here = ", ".join(f"@{alias}" for alias, at in pointed.items() if at == version)
            yield f"  {version}  {_accepted(storage, name, version):15}  {here}".rstrip()


def _accepted(storage: Storage, name: str, version: str) -> str:
    """The score that the version was accepted with."""
    try:
        score = read_manifest(storage, name, version).accepted
    except BundleError:  # of a later format, or damaged: using it raises the reason
        return "unreadable"
    return f"{score.title} {score.shown}" if score else ""


if __name__ == "__main__":
    sys.exit(main())
