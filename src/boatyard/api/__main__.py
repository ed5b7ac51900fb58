"""`python -m boatyard.api` serves the model that BOATYARD_MODEL names, on PORT."""

import sys

from boatyard.api.application import create_app
from boatyard.api.server import serve
from boatyard.api.settings import Settings
from boatyard.config.addresses import reach_this_machine_directly
from boatyard.config.console import refuse
from boatyard.config.errors import UserError
from boatyard.config.logs import log_as_json


def main() -> int:
    """Serves until it is stopped. Returns the exit status: 2 if a setting is wrong."""
    reach_this_machine_directly()
    try:
        settings = Settings.from_environment()
        log_as_json()
        return serve(create_app(settings), settings)
    except (OSError, UserError) as wrong:
        return refuse("boatyard.api", wrong)


if __name__ == "__main__":
    sys.exit(main())
