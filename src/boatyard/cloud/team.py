"""What Vertex AI tells a job's workers by their environment: of each other, and where checkpoints go."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from boatyard.config.errors import UserError

_PORT = 29_500  # where Vertex names none


@dataclass(frozen=True)
class Team:
    """The workers of a job: how many, which of them this one is, and where they meet."""

    workers: int
    rank: int
    leader: str
    port: str


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


def together(team: Team, processes: int) -> list[str]:
    """torchrun's arguments for `processes` on each worker of a job."""
    own, meeting = f"--nproc-per-node={processes}", [f"--master-addr={team.leader}", f"--master-port={team.port}"]
    return [f"--nnodes={team.workers}", f"--node-rank={team.rank}", *meeting, own]


def overrides(environment: Mapping[str, str]) -> list[str]:
    """On Vertex AI, where checkpoints and the model go: in BOATYARD_STORAGE, or else where Vertex AI wants them.

    In the storage, which all jobs share, a job goes on from the checkpoints of an earlier one with the same settings.
    """
    if not (own := environment.get("AIP_CHECKPOINT_DIR")):
        return []
    if storage := environment.get("BOATYARD_STORAGE"):
        return [f"paths.checkpoints={storage.rstrip('/')}/checkpoints"]
    return [f"paths.checkpoints={own.rstrip('/')}", f"paths.storage={environment['AIP_MODEL_DIR'].rstrip('/')}"]
