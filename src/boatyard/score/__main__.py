"""python -m boatyard.score score.rows=PATH score.out=PATH [KEY=VALUE ...]: answer files of any size with a model."""

import sys

from boatyard.config.cli import run
from boatyard.config.errors import UserError
from boatyard.config.schema import Config

PURPOSE = "Answer all rows of files with a published model, on all cores or a Ray cluster, into Parquet."


def main(config: Config) -> None:
    """Raises UserError: Ray is not installed."""
    try:
        from boatyard.score.run import score
    except ImportError as missing:
        raise UserError(
            f"scoring files takes {missing.name}, which is not installed: `uv sync --extra scale`"
        ) from None
    score(config)


if __name__ == "__main__":
    sys.exit(run("score", PURPOSE, main))
