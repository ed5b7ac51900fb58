"""python -m boatyard.data: prepare the rows."""

import sys

from boatyard.config.cli import run
from boatyard.config.schema import Config


def main(config: Config) -> None:
    """Rows to Arrow and the data report."""
    from boatyard.data.encode import encode  # after --help: datasets takes seconds to import
    from boatyard.data.prepare import prepare
    from boatyard.storage.outputs import keep_output

    prepared = prepare(config)
    encoded = encode(config, prepared)
    keep_output(config, "rows", prepared.folder)
    keep_output(config, "inputs", encoded.folder)


if __name__ == "__main__":
    purpose = "Read, check, split and encode the rows; write the data report."
    sys.exit(run("data", purpose, main, writes=("processed", "reports", "outputs")))
