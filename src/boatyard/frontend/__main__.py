"""`python -m boatyard.frontend` serves the web page on PORT, 8501 by default."""

import sys
from pathlib import Path

from boatyard.config.console import refuse
from boatyard.config.errors import UserError
from boatyard.frontend.settings import Settings


def main() -> int:
    """Serves until it is stopped. Returns the exit status: 2 if a setting is wrong."""
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
