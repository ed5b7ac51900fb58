"""python -m boatyard.template adopt NAME | update [SOURCE]."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from boatyard.config.console import refuse, say
from boatyard.config.errors import Failed, UserError
from boatyard.template import project


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command on the repository of the working directory."""
    parser = argparse.ArgumentParser(prog="python -m boatyard.template", description=project.__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    adopting = commands.add_parser("adopt", help="make this clone of the template a project of your own")
    adopting.add_argument("name")
    updating = commands.add_parser("update", help="merge the template's changes")
    updating.add_argument("source", nargs="?", help="its repository; by default that of the last update")
    updating.add_argument("--ref", help="a branch or tag of it")
    options = parser.parse_args(arguments)
    try:
        root = Path(project.git(Path.cwd(), "rev-parse", "--show-toplevel"))
        if options.command == "adopt":
            message = project.adopt(root, options.name)
        else:
            local = options.source and Path(options.source).exists()
            message = project.update(
                root, str(Path(options.source).resolve()) if local else options.source, options.ref
            )
        say(message)
    except (Failed, OSError, UserError) as error:
        return refuse(options.command, error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
