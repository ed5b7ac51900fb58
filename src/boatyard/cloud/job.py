"""The training job that Vertex AI is asked for, rendered from deploy/vertex/job.yaml."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from string import Template
from typing import Any

import yaml

from boatyard.cloud.access import HUB_SECRET, WANDB_SECRET
from boatyard.cloud.place import Place
from boatyard.config.errors import UserError
from boatyard.config.schema import Config, Job

Object = dict[str, Any]

TEMPLATE = Path("deploy", "vertex", "job.yaml")

# the accelerator type on Vertex AI, and the prefix of the machine types that have it
_GPUS = {
    "t4": ("NVIDIA_TESLA_T4", "n1-"),
    "l4": ("NVIDIA_L4", "g2-"),
    "a100": ("NVIDIA_TESLA_A100", "a2-highgpu-"),
    "a100-80gb": ("NVIDIA_A100_80GB", "a2-ultragpu-"),
    "h100": ("NVIDIA_H100_80GB", "a3-highgpu-"),
}


def render(
    config: Config,
    where: Place,
    commit: str,
    overrides: Sequence[str],
    name: str,
    command: Sequence[str] | None = None,
) -> Object:
    """The CustomJob to submit, rendered from `deploy/vertex/job.yaml`. `command`: in place of the image's own.

    Raises:
        UserError: the template is missing or invalid, or the machine cannot have that GPU, or none is used.
    """
    settings = config.cloud.train
    accelerator = _accelerator(settings)
    if accelerator and config.train.use_cpu:
        raise UserError(f"train.use_cpu=true leaves the {settings.gpu} idle, at its price: leave out one of them")
    values = {
        "name": name,
        "model": config.data.name,
        "commit": commit,
        "machine": settings.machine,
        "accelerator": accelerator,
        "accelerators": settings.gpus if accelerator else None,
        "gpus": str(settings.gpus) if accelerator else None,
        "image": where.image("trainer", commit),
        "command": command,
        "overrides": list(overrides),
        "storage": where.storage,
        "secret": f"projects/{where.project}/secrets/{WANDB_SECRET}" if config.tracking.mode == "online" else None,
        "hub": f"projects/{where.project}/secrets/{HUB_SECRET}" if settings.hub_login else None,
        "others": settings.workers - 1,
        "timeout": f"{math.ceil(settings.hours * 3600)}s",
        "strategy": "SPOT" if settings.spot else "STANDARD",
        "spot": settings.spot,
        "standard": not settings.spot,
        "account": where.account("train"),
        "output": f"{where.storage}/training/{name}",
    }
    try:
        text = TEMPLATE.read_text(encoding="utf-8")
        job: Object = yaml.safe_load(Template(text).substitute({key: json.dumps(v) for key, v in values.items()}))
        pools = [_without_empty(pool) for pool in job["jobSpec"]["workerPoolSpecs"] if pool["replicaCount"]]
        return {**job, "jobSpec": {**job["jobSpec"], "workerPoolSpecs": pools}}
    except FileNotFoundError:
        raise UserError(f"there is no {TEMPLATE} here: run this in the repository's own folder") from None
    except (KeyError, TypeError, ValueError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{TEMPLATE} cannot be filled in ({type(error).__name__}: {reason})") from None


def _without_empty(pool: Object) -> Object:
    machine, container = pool["machineSpec"], pool["containerSpec"]
    return {
        **pool,
        "machineSpec": {key: value for key, value in machine.items() if value is not None},
        "containerSpec": {
            **{key: value for key, value in container.items() if value is not None},
            "env": [variable for variable in container["env"] if variable["value"] is not None],
        },
    }


def _accelerator(job: Job) -> str | None:
    if job.gpu is not None:
        accelerator, machines = _GPUS[job.gpu]
        if not job.machine.startswith(machines):
            raise UserError(
                f"cloud.train.machine={job.machine} has no {job.gpu}: choose one whose name begins with {machines}"
            )
        return accelerator
    for gpu, (_, machines) in _GPUS.items():
        if machines != "n1-" and job.machine.startswith(machines):
            raise UserError(f"cloud.train.machine={job.machine} comes with GPUs: set cloud.train.gpu={gpu}")
    return None
