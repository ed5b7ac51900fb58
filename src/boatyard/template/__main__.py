"""python -m boatyard.template adopt NAME | update [SOURCE]."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from boatyard.config.console import refuse, say
from boatyard.config.errors import Failed, UserError
from boatyard.template import project


def main(arguments: Sequence[str] | None = None) -> int:
    """The command that was named, on the repository that this is run in."""
    parser = argparse.ArgumentParser(prog="python -m boatyard.template", description=project.__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    adopting = commands.add_parser("adopt", help="make this clone of the template a project of your own")
    adopting.add_argument("name")
    updating = commands.add_parser("update", help="merge what is new in the template")
    updating.add_argument("source", nargs="?", help="its repository; by default where it was last taken from")
    updating.add_argument("--ref", help="a branch or tag of it")
    given = parser.parse_args(arguments)
    try:
        root = Path(project.git(Path.cwd(), "rev-parse", "--show-toplevel"))
        if given.command == "adopt":
            said = project.adopt(root, given.name)
        else:
            local = given.source and Path(given.source).exists()
            said = project.update(root, str(Path(given.source).resolve()) if local else given.source, given.ref)
        say(said)
    except (Failed, OSError, UserError) as error:
        return refuse(given.command, error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
