"""python -m boatyard.registry models | promote NAME VERSION | rollback NAME, on BOATYARD_STORAGE."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from boatyard.bundle.manifest import BundleError
from boatyard.config.console import refuse, say
from boatyard.config.errors import UserError
from boatyard.registry.alias import ANYWHERE, aliases, promote, rollback
from boatyard.registry.reference import DEFAULT_ALIAS, exact
from boatyard.registry.settings import StorageSettings
from boatyard.registry.version import fetch, names, read_manifest, versions
from boatyard.storage import Storage, open_storage


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command."""
    parser = argparse.ArgumentParser(prog="python -m boatyard.registry")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("models", help="list the published versions, and what each alias points at")
    moving = {
        "promote": commands.add_parser("promote", help="point an alias at a version"),
        "rollback": commands.add_parser("rollback", help="point an alias at what it pointed at before"),
    }
    for command in moving.values():
        command.add_argument("name")
        command.add_argument("--alias", default=DEFAULT_ALIAS)
        command.add_argument(
            "--expected", metavar="VERSION", default=ANYWHERE, help="move it only from there; 'none': only if it is new"
        )
    moving["promote"].add_argument("version")
    options = parser.parse_args(arguments)
    try:
        storage = open_storage(StorageSettings.from_environment().storage)
        if options.command == "models":
            lines = list(_listing(storage)) or ["nothing is published yet: run `invoke pipeline`"]
        else:
            if options.command == "promote":
                _verify(storage, options.name, options.version)
            expected = None if options.expected == "none" else options.expected
            moved = (
                promote(storage, options.name, options.version, options.alias, expected=expected)
                if options.command == "promote"
                else rollback(storage, options.name, options.alias, expected=expected)
            )
            lines = [f"{options.name}@{options.alias} is {moved.version}"]
    except (OSError, UserError) as error:
        return refuse(options.command, error)
    say("\n".join(lines))
    return 0


def _verify(storage: Storage, name: str, version: str) -> None:
    """Raises UserError: there is no such version, or a server could not open it."""
    from boatyard.bundle.predict import open_predictor  # takes a second to import

    with TemporaryDirectory() as cache:
        open_predictor(fetch(storage, exact(name, version), Path(cache)))


def _listing(storage: Storage) -> Iterator[str]:
    for name in names(storage):
        pointed = aliases(storage, name)
        yield name
        for version in versions(storage, name):
            here = ", ".join(f"@{alias}" for alias, target in pointed.items() if target == version)
            yield f"  {version}  {_score(storage, name, version):15}  {here}".rstrip()


def _score(storage: Storage, name: str, version: str) -> str:
    """The primary score; empty without one, or if this version of the package cannot read the manifest."""
    try:
        accepted = read_manifest(storage, name, version).accepted
    except BundleError:
        return ""
    return "" if accepted is None else f"{accepted.title} {accepted.shown}"


if __name__ == "__main__":
    sys.exit(main())
