"""python -m boatyard.pipeline: everything, from rows to an answer."""

import sys

from boatyard.cli import run
from boatyard.config import Config


def main(config: Config) -> None:
    """Run every stage in this one process."""
    from boatyard.outputs import bring_back
    from boatyard.pipeline.run import run_pipeline

    bring_back(config)
    run_pipeline(config)


if __name__ == "__main__":
    sys.exit(run("pipeline", "Prepare, train, evaluate, export and publish, then ask the served graph.", main))
