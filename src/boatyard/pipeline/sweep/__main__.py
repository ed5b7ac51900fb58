"""python -m boatyard.pipeline.sweep: search for better settings."""

import sys

from boatyard.config.cli import run
from boatyard.config.console import say
from boatyard.config.errors import UserError
from boatyard.config.schema import Config

_AS_WANDB = "--wandb"
_PURPOSE = f"""Search the keys of a file in configs/sweep for better values, by Optuna; choose it by sweep=NAME.
Stopped, the same command goes on; started twice, the processes share the work. {_AS_WANDB} prints the same search as a
sweep of Weights & Biases instead."""


def main() -> int:
    """Search, or print the search."""
    overrides = [argument for argument in sys.argv[1:] if argument != _AS_WANDB]

    def job(config: Config) -> None:
        if config.sweep is None:
            raise UserError("sweep=NAME must be given: a file in configs/sweep")
        from boatyard.pipeline.sweep.space import check_space

        check_space(config.sweep, overrides)
        if _AS_WANDB in sys.argv:
            from boatyard.pipeline.sweep.export import wandb_sweep
            from boatyard.train.metric import metric

            searched = metric(config.data.task, config.sweep.metric, "sweep.metric")
            say(wandb_sweep(config.sweep, searched, overrides).rstrip())
        else:
            from boatyard.pipeline.sweep.search import search

            search(config, config.sweep, overrides)

    return run("pipeline.sweep", _PURPOSE, job, overrides, ("processed", "runs", "reports"))


if __name__ == "__main__":
    sys.exit(main())
