"""What Vertex AI tells a worker by its environment, as torchrun and boatyard take it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from boatyard.errors import UserError

_PORT = 29_500  # where Vertex names none


@dataclass(frozen=True)
class Launch:
    """Arguments of torchrun, and overrides for the command that it runs."""

    torchrun: list[str]
    overrides: list[str]


def vertex_launch(environment: Mapping[str, str], processes: int) -> Launch:
    """How this worker joins its job; `processes` is how many it runs, one for each GPU.

    CLUSTER_SPEC names the workers pool by pool: the first of workerpool0 leads, the others are numbered in the pools'
    order. AIP_CHECKPOINT_DIR and AIP_MODEL_DIR are where checkpoints and published models go.

    Raises:
        UserError: CLUSTER_SPEC is not what Vertex AI writes.
    """
    places = {"paths.checkpoints": "AIP_CHECKPOINT_DIR", "paths.storage": "AIP_MODEL_DIR"}
    overrides = [f"{key}={environment[name].rstrip('/')}" for key, name in places.items() if environment.get(name)]
    own = f"--nproc-per-node={processes}"
    if not environment.get("CLUSTER_SPEC"):
        return Launch(["--standalone", own], overrides)
    try:
        spec = json.loads(environment["CLUSTER_SPEC"])
        pools: dict[str, list[str]] = dict(sorted(spec["cluster"].items()))
        pool, index = spec["task"]["type"], int(spec["task"]["index"])
        workers = [worker for hosts in pools.values() for worker in hosts]
        before = sum(len(hosts) for name, hosts in pools.items() if name < pool)
        leader, _, port = pools["workerpool0"][0].partition(":")
        assert index < len(pools[pool])
    except (AssertionError, AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"CLUSTER_SPEC is not what Vertex AI writes ({type(error).__name__}: {error})") from None
    meeting = [f"--master-addr={leader}", f"--master-port={port or _PORT}"]
    return Launch([f"--nnodes={len(workers)}", f"--node-rank={before + index}", *meeting, own], overrides)
