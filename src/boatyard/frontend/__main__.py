"""`python -m boatyard.frontend` serves the web page on PORT, 8501 by default."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from boatyard.config.console import refuse
from boatyard.config.errors import UserError
from boatyard.frontend.settings import Settings

_HELP = "Serve the web page. Settings are environment variables, which docs/frontend.md lists."


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves until it is stopped. Returns the exit status: 2 if a setting is wrong."""
    argparse.ArgumentParser(prog="python -m boatyard.frontend", description=_HELP).parse_args(arguments)
    from streamlit.web import cli

    try:
        settings = Settings.from_environment()
    except UserError as wrong:
        return refuse("boatyard.frontend", wrong)
    script = str(Path(__file__).with_name("app.py"))
    cli.main(
        ["run", script, f"--server.port={settings.port}", f"--server.address={settings.host}"], standalone_mode=False
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
