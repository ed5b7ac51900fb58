"""`python -m boatyard.api` serves the model that BOATYARD_MODEL names, on PORT."""

import logging
import sys

import uvicorn

from boatyard.api import create_app
from boatyard.api.settings import Settings
from boatyard.errors import UserError


def main() -> int:
    """Serves until it is told to stop; the exit status is 2 where a setting is wrong."""
    try:
        settings = Settings.from_environment()
    except UserError as wrong:
        print(f"boatyard.api: {wrong}", file=sys.stderr)  # noqa: T201
        return 2
    logging.basicConfig(level=logging.INFO, format="%(levelname)s:     %(message)s")
    uvicorn.run(create_app(settings), host=settings.host, port=settings.port, access_log=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
