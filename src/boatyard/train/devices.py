"""The GPUs that a worker was given, as the job says, and those that torch sees."""

import logging
import shutil
import subprocess
from collections.abc import Mapping

import torch

from boatyard.config.errors import UserError

GIVEN = "BOATYARD_GPUS"
"""The environment variable with the number of GPUs that this worker was given."""

log = logging.getLogger(__name__)


def log_devices() -> None:
    """The first line of a job's log: what it trains on."""
    names = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    cuda = torch.version.cuda or "none"
    log.info("GPUs: %s; driver: %s; torch %s, CUDA %s", ", ".join(names) or "none", driver(), torch.__version__, cuda)


def require_gpus(environment: Mapping[str, str]) -> int:
    """How many GPUs torch sees.

    Raises:
        UserError: fewer than this worker was given: the CPU would train at their price, and take many times as long.
    """
    given, seen = int(environment.get(GIVEN) or 0), torch.cuda.device_count()
    if seen < given:
        raise UserError(
            f"this worker was given {given} GPU(s) ({GIVEN}), and torch sees {seen}: the driver must support CUDA "
            f"{torch.version.cuda} (installed: {driver()}), and its libraries must lie in LD_LIBRARY_PATH"
        )
    return seen


def driver() -> str:
    """The version of NVIDIA's driver, or `none`."""
    if (program := shutil.which("nvidia-smi")) is None:
        return "none"
    query = [program, "--query-gpu=driver_version", "--format=csv,noheader"]
    said = subprocess.run(query, capture_output=True, encoding="utf-8")  # noqa: S603 - the driver's own
    versions = said.stdout.split()
    return versions[0] if said.returncode == 0 and versions else "none"
