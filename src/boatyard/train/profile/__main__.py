"""python -m boatyard.train.profile: where a training step's time goes."""

import sys

from boatyard.config.cli import run
from boatyard.config.schema import Config


def main(config: Config) -> None:
    """Prepare what is not prepared yet, then profile."""
    from boatyard.data.encode import encode
    from boatyard.data.prepare import prepare
    from boatyard.train.profile.run import profile

    prepared = prepare(config)
    profile(config, prepared, encode(config, prepared))


if __name__ == "__main__":
    purpose = "Measure where a step of boatyard.train spends its time; keeps no network."
    sys.exit(run("train.profile", purpose, main, writes=("processed", "reports")))
