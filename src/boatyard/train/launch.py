"""python -m boatyard.train.launch: the pipeline, as a worker on Vertex AI or in any container runs it.

With one worker and at most one GPU it runs in this process; otherwise under torchrun, which replaces this process.
"""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from boatyard.config.cli import run
from boatyard.config.errors import UserError
from boatyard.config.schema import Config
from boatyard.pipeline.__main__ import PURPOSE, WRITES
from boatyard.pipeline.__main__ import main as pipeline

_PORT = 29_500  # where Vertex names none


@dataclass(frozen=True)
class Team:
    """The workers of a job: how many, which of them this one is, and where they meet."""

    workers: int
    rank: int
    leader: str
    port: str


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


def team(environment: Mapping[str, str]) -> Team | None:
    """The workers that CLUSTER_SPEC lists pool by pool; None if there is only one.

    The first of workerpool0 leads, the others are numbered in the pools' order.

    Raises:
        UserError: CLUSTER_SPEC is not what Vertex AI writes.
    """
    if not environment.get("CLUSTER_SPEC"):
        return None
    try:
        spec = json.loads(environment["CLUSTER_SPEC"])
        pools: dict[str, list[str]] = dict(sorted(spec["cluster"].items()))
        pool, index = spec["task"]["type"], int(spec["task"]["index"])
        workers = sum(len(hosts) for hosts in pools.values())
        before = sum(len(hosts) for name, hosts in pools.items() if name < pool)
        leader, _, port = pools["workerpool0"][0].partition(":")
        assert index < len(pools[pool])
    except (AssertionError, AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"CLUSTER_SPEC is not what Vertex AI writes ({type(error).__name__}: {error})") from None
    return Team(workers, before + index, leader, port or str(_PORT)) if workers > 1 else None


def torchrun_arguments(team: Team | None, processes: int) -> list[str]:
    """For `processes` on this worker, one for each GPU; none where a single process is enough."""
    own = f"--nproc-per-node={processes}"
    if team is None:
        return ["--standalone", own] if processes > 1 else []
    meeting = [f"--master-addr={team.leader}", f"--master-port={team.port}"]
    return [f"--nnodes={team.workers}", f"--node-rank={team.rank}", *meeting, own]


if __name__ == "__main__":
    sys.exit(main())
