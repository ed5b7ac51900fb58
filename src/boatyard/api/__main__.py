"""`python -m boatyard.api` serves the model that BOATYARD_MODEL names, on PORT."""

import sys

from boatyard.api import create_app
from boatyard.api.server import serve
from boatyard.api.settings import Settings
from boatyard.errors import UserError
from boatyard.logs import log_as_json


def main() -> int:
    """Serves until it is told to stop; the exit status is 2 where a setting is wrong."""
    try:
        settings = Settings.from_environment()
    except UserError as wrong:
        print(f"boatyard.api: {wrong}", file=sys.stderr)  # noqa: T201
        return 2
    log_as_json()
    return serve(create_app(settings), settings)


if __name__ == "__main__":
    sys.exit(main())
