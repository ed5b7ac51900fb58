"""python -m boatyard.retrain: learn from feedback, and promote what is better by more than chance."""

import os
import sys

from boatyard.cloud.team import overrides  # part: cloud
from boatyard.config.cli import run
from boatyard.config.schema import Config
from boatyard.pipeline.__main__ import WRITES
from boatyard.train.launch import prepare_worker


def main(config: Config) -> None:
    """One round, where `retrain.on` says."""
    # part: cloud
    if config.retrain.on == "vertex":
        from boatyard.cloud import vertex

        vertex.retrain(config, sys.argv[1:])
        return
    # part end
    prepare_worker()
    from boatyard.retrain.run import retrain

    retrain(config)


if __name__ == "__main__":
    purpose = "Learn from feedback in the journal; promote if better by more than chance."
    command_line = sys.argv[1:]
    command_line = [*overrides(os.environ), *command_line]  # part: cloud
    sys.exit(run("retrain", purpose, main, command_line, WRITES))
