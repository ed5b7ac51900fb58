"""python -m boatyard.retrain: learn from feedback, and promote what is better by more than chance."""

import sys

from boatyard.config.cli import run
from boatyard.config.schema import Config
from boatyard.pipeline.__main__ import WRITES


def main(config: Config) -> None:
    """One round."""
    from boatyard.retrain.run import retrain

    retrain(config)


if __name__ == "__main__":
    purpose = "Learn from feedback in the journal; promote if better by more than chance."
    sys.exit(run("retrain", purpose, main, writes=WRITES))
