"""python -m boatyard.train.launch: the pipeline, as a worker on Vertex AI or in any container runs it.

With one worker and at most one GPU it runs in this process; otherwise under torchrun, which replaces this process.
"""

import os
import sys
from collections.abc import Mapping, Sequence

from boatyard.cloud.team import Team, team
from boatyard.config.cli import run
from boatyard.config.schema import Config
from boatyard.pipeline.__main__ import PURPOSE, WRITES
from boatyard.pipeline.__main__ import main as pipeline


def main(arguments: Sequence[str] | None = None) -> int:
    """The pipeline's exit status; does not return where torchrun replaces this process."""
    command_line = [*overrides(os.environ), *(sys.argv[1:] if arguments is None else arguments)]

    def start(config: Config) -> None:
        torchrun = torchrun_arguments(team(os.environ), prepare_worker() or 1)
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


def overrides(environment: Mapping[str, str]) -> list[str]:
    """On Vertex AI, where checkpoints and the model go: in BOATYARD_STORAGE, or else where Vertex AI wants them.

    In the storage, which all jobs share, a job goes on from the checkpoints of an earlier one with the same settings.
    """
    if not (own := environment.get("AIP_CHECKPOINT_DIR")):
        return []
    if storage := environment.get("BOATYARD_STORAGE"):
        return [f"paths.checkpoints={storage.rstrip('/')}/checkpoints"]
    return [f"paths.checkpoints={own.rstrip('/')}", f"paths.storage={environment['AIP_MODEL_DIR'].rstrip('/')}"]


def torchrun_arguments(team: Team | None, processes: int) -> list[str]:
    """For `processes` on this worker, one for each GPU; none where a single process is enough."""
    own = f"--nproc-per-node={processes}"
    if team is None:
        return ["--standalone", own] if processes > 1 else []
    meeting = [f"--master-addr={team.leader}", f"--master-port={team.port}"]
    return [f"--nnodes={team.workers}", f"--node-rank={team.rank}", *meeting, own]


if __name__ == "__main__":
    sys.exit(main())
