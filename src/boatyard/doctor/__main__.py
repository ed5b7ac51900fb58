"""python -m boatyard.doctor: check what this machine needs to train and serve, and change nothing."""

import sys

from boatyard.config.console import complain
from boatyard.doctor.machine import doctor


def main() -> int:
    """Returns the exit status: 1 if something is wrong."""
    try:
        from boatyard.config.cli import run
    except ImportError as error:  # before any check can run
        complain(f"doctor: the package {error.name} is not installed; run `uv sync`")
        return 1
    return run("doctor", "Check what this machine needs to train and serve, and change nothing.", doctor)


if __name__ == "__main__":
    sys.exit(main())
