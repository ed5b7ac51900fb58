"""python -m boatyard.retrain: learn from feedback, and promote what is better by more than chance."""

import sys

from boatyard.config.cli import run
from boatyard.config.schema import Config
from boatyard.pipeline.__main__ import WRITES


def main(config: Config) -> None:
    """One round, here or by a job on Vertex AI."""
    if config.retrain.on == "vertex":
        from boatyard.cloud import vertex

        vertex.retrain(config, sys.argv[1:])
    else:
        from boatyard.retrain.run import retrain

        retrain(config)


if __name__ == "__main__":
    purpose = "Learn from feedback in the journal; promote if better by more than chance."
    sys.exit(run("retrain", purpose, main, writes=WRITES))
