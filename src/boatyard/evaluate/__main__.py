"""python -m boatyard.evaluate: score what was trained."""

import sys

from boatyard.cli import run
from boatyard.config import Config


def main(config: Config) -> None:
    """Score the network that the same overrides trained."""
    from boatyard.data.encode import encode
    from boatyard.data.prepare import prepare
    from boatyard.evaluate.run import evaluate
    from boatyard.train.fit import open_trained

    prepared = prepare(config)
    encoded = encode(config, prepared)
    evaluate(config, prepared, encoded, open_trained(config, encoded))


if __name__ == "__main__":
    sys.exit(run("evaluate", "Score the trained network on the test split, beside a simple baseline.", main))
