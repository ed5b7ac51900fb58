"""python -m boatyard.pipeline: everything, from rows to an answer."""

import sys

from boatyard.config.cli import run
from boatyard.config.processes import is_main
from boatyard.config.schema import Config

PURPOSE = "Prepare, train, evaluate, export and publish, then ask the served graph."
WRITES = ("processed", "runs", "reports", "storage", "checkpoints", "outputs")


def main(config: Config) -> None:
    """Run every stage; of torchrun's processes all train, and the first one does the rest."""
    if is_main():
        from boatyard.pipeline.run import run_pipeline
        from boatyard.storage.outputs import restore_outputs

        restore_outputs(config)
        run_pipeline(config)
    else:
        from boatyard.train.__main__ import main as train

        train(config)


if __name__ == "__main__":
    sys.exit(run("pipeline", PURPOSE, main, writes=WRITES))
