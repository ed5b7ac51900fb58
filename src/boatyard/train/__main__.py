"""python -m boatyard.train: fit the network."""

import sys

from boatyard.config.cli import run
from boatyard.config.schema import Config


def main(config: Config) -> None:
    """Prepare what is not prepared yet, then fit."""
    from boatyard.data.encode import encode
    from boatyard.data.prepare import prepare
    from boatyard.storage.outputs import keep_output, restore_outputs
    from boatyard.train.fit import train

    restore_outputs(config)
    prepared = prepare(config)
    trained = train(config, prepared, encode(config, prepared))
    keep_output(config, "network", trained.folder, trained.metrics)


if __name__ == "__main__":
    purpose = "Fit the network with transformers' Trainer; prepares the rows first if need be."
    sys.exit(run("train", purpose, main, writes=("processed", "runs", "checkpoints", "outputs")))
