"""`python -m boatyard.api` serves the model that BOATYARD_MODEL names, on PORT."""

# ruff: noqa: E402
import gc

gc.disable()  # until all is loaded: a start leaves little to collect, and looking for it takes a tenth of the time

import argparse
import sys
from collections.abc import Sequence

from boatyard.api.application import Application
from boatyard.api.server import serve
from boatyard.api.settings import Settings
from boatyard.config.addresses import check_port, reach_this_machine_directly
from boatyard.config.console import refuse
from boatyard.config.errors import UserError
from boatyard.config.logs import log_as_json

_HELP = "Serve a model over HTTP. Settings are environment variables, which docs/serving.md lists."


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves until it is stopped. Returns the exit status: 2 if a setting is wrong."""
    argparse.ArgumentParser(prog="python -m boatyard.api", description=_HELP).parse_args(arguments)
    reach_this_machine_directly()
    try:
        settings = Settings.from_environment()
        check_port(settings.host, settings.port)
        log_as_json()
        return serve(Application(settings), settings)
    except (OSError, UserError) as wrong:
        return refuse("boatyard.api", wrong)


if __name__ == "__main__":
    sys.exit(main())
