"""`python -m boatyard.frontend` serves the web page on PORT, 8501 by default."""

import os
import sys
from pathlib import Path

from boatyard.config.addresses import read_port
from boatyard.config.console import refuse
from boatyard.config.errors import UserError
from boatyard.frontend.services import addresses


def main() -> int:
    """Serves until it is stopped. Returns the exit status: 2 if a setting is wrong."""
    from streamlit.web import cli

    host = os.environ.get("BOATYARD_HOST") or "127.0.0.1"
    try:
        port = read_port(os.environ, 8501)
        addresses()
    except UserError as wrong:
        return refuse("boatyard.frontend", wrong)
    script = str(Path(__file__).with_name("app.py"))
    cli.main(["run", script, f"--server.port={port}", f"--server.address={host}"], standalone_mode=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
