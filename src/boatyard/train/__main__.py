"""python -m boatyard.train: fit the network."""

import sys

from boatyard.cli import run
from boatyard.config import Config


def main(config: Config) -> None:
    """Prepare what is not prepared yet, then fit."""
    from boatyard.data.encode import encode
    from boatyard.data.prepare import prepare
    from boatyard.processes import one_first
    from boatyard.train.fit import train

    with one_first(config.train.use_cpu):
        prepared = prepare(config)
        encoded = encode(config, prepared)
    train(config, prepared, encoded)


if __name__ == "__main__":
    sys.exit(run("train", "Fit the network with transformers' Trainer; prepares the rows first if need be.", main))
