"""python -m boatyard.cloud.replica [KEY=VALUE ...]: one of the machines of a job that scores.

The first of them leads a Ray cluster and runs `boatyard.score` on it; the others join it, and leave when it is gone.
All know one key, without which nobody gets in: whichever is first writes it to the storage, where no one else reads.
"""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex

from boatyard.cloud.team import Team, team
from boatyard.config.addresses import answers
from boatyard.config.cli import run
from boatyard.config.errors import UserError
from boatyard.config.schema import Config
from boatyard.score.__main__ import PURPOSE
from boatyard.score.__main__ import main as score
from boatyard.storage import AlreadyExists, Storage, open_storage

_PATIENCE = 600.0  # seconds until all machines are there: images of gigabytes come first
_PAUSE = 2.0


def replica(config: Config) -> None:
    """Raises UserError: CLUSTER_SPEC is not what Vertex AI writes, or the machine that leads is not there."""
    machines = team(os.environ)
    if machines is None:
        score(config)
        return
    storage, name = open_storage(config.paths.storage), f"training/ray/{os.environ['CLOUD_ML_JOB_ID']}"
    os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": _key(storage, name)}
    address = f"{machines.leader}:{machines.port}"
    if machines.rank:
        _follow(address)
        return
    own = ["--head", f"--port={machines.port}", f"--node-ip-address={socket.gethostbyname(machines.leader)}"]
    try:
        with _node(*own, "--include-dashboard=false"):
            os.environ["RAY_ADDRESS"] = address
            _await_all(machines, address)
            score(config)
    finally:
        storage.remove([name])


def _follow(address: str) -> None:
    if not _waited(lambda: answers(address)):
        raise UserError(f"nothing answers at {address}, where the machine that leads should be")
    with _node(f"--address={address}"):
        while answers(address):
            time.sleep(_PAUSE)


@contextmanager
def _node(*options: str) -> Iterator[None]:
    """This machine in the cluster, while it lasts."""
    command = [str(Path(sys.executable).with_name("ray")), "start", *options, "--block", "--disable-usage-stats"]
    node = subprocess.Popen(command, stdout=subprocess.DEVNULL)  # noqa: S603 - our own program
    try:
        yield
    finally:
        node.terminate()  # it ends all that it has started
        node.wait()


def _await_all(machines: Team, address: str) -> None:
    """Or as many as there are in time: those that come later do not score."""
    import ray

    if not _waited(lambda: answers(address)):
        raise UserError(f"Ray does not start at {address}: its log is above")
    ray.init(address=address, log_to_driver=False)
    _waited(lambda: sum(node["Alive"] for node in ray.nodes()) == machines.workers)  # type: ignore[no-untyped-call]
    ray.shutdown()


def _waited(happened: Callable[[], bool]) -> bool:
    """Whether it has happened within the time that machines may take."""
    deadline = time.monotonic() + _PATIENCE
    while not (there := happened()) and time.monotonic() < deadline:
        time.sleep(_PAUSE)
    return there


def _key(storage: Storage, name: str) -> str:
    with suppress(AlreadyExists):
        storage.write_once(name, token_hex(32).encode())
    return storage.read(name).decode()


if __name__ == "__main__":
    sys.exit(run("score", PURPOSE, replica))
