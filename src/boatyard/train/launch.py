"""python -m boatyard.train.launch: the pipeline, as the trainer's image runs it.

With one worker and at most one GPU it runs in this process; otherwise under torchrun, which replaces this process.
"""

import os
import sys
from collections.abc import Sequence

from boatyard.cloud.team import overrides, team, together  # part: cloud
from boatyard.config.cli import run
from boatyard.config.schema import Config
from boatyard.pipeline.__main__ import PURPOSE, WRITES
from boatyard.pipeline.__main__ import main as pipeline


def main(arguments: Sequence[str] | None = None) -> int:
    """The pipeline's exit status; does not return where torchrun replaces this process."""
    command_line = sys.argv[1:] if arguments is None else [*arguments]
    command_line = [*overrides(os.environ), *command_line]  # part: cloud

    def start(config: Config) -> None:
        processes = prepare_worker() or 1
        torchrun = standalone(processes)
        # part: cloud
        if workers := team(os.environ):
            torchrun = together(workers, processes)
        # part end
        if not torchrun:
            pipeline(config)
            return
        sys.stdout.flush()
        launcher = [sys.executable, "-m", "torch.distributed.run", *torchrun, "-m", "boatyard.pipeline", *command_line]
        os.execv(sys.executable, launcher)  # noqa: S606 - so that signals and the exit status are this worker's own

    return run("pipeline", PURPOSE, start, command_line, WRITES)


def prepare_worker() -> int:
    """Fetch the Hub's token and log what is trained on, as a job's first step; returns the number of GPUs.

    Raises UserError: there are fewer than this worker was given.
    """
    from boatyard.cloud.secrets import load_secret  # part: cloud
    from boatyard.train.devices import log_devices, require_gpus  # which load torch

    load_secret("HF_TOKEN")  # torchrun's processes inherit it  # part: cloud
    log_devices()
    return require_gpus(os.environ)


def standalone(processes: int) -> list[str]:
    """torchrun's arguments for `processes` on this machine, one for each GPU; none where a single one is enough."""
    return ["--standalone", f"--nproc-per-node={processes}"] if processes > 1 else []


if __name__ == "__main__":
    sys.exit(main())
