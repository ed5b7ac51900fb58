"""The `train` section as transformers takes it."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import TrainingArguments

from boatyard import tasks
from boatyard.config.errors import UserError
from boatyard.config.schema import Config, Section
from boatyard.train.devices import require_gpus
from boatyard.train.metric import metric


def training_arguments(config: Config, output: Path) -> TrainingArguments:
    """With what the task says of metrics and smoothing.

    Raises:
        UserError: transformers refuses the combination, or GPUs were given that are not visible.
    """
    sections = {name for name, value in config.train if isinstance(value, Section)}  # of the input and the task
    keys = config.train.model_dump(exclude={*config.train.OWN, *sections})
    best = metric(config.data.task, keys["metric_for_best_model"], "train.metric_for_best_model")
    keys |= {"metric_for_best_model": best.name, "greater_is_better": best.higher_is_better}
    if not tasks.training(config.data.task).SMOOTHED:
        keys["label_smoothing_factor"] = 0.0
    if keys["warmup_steps"] >= 1:
        keys["warmup_steps"] = int(keys["warmup_steps"])
    require_gpus(os.environ)
    keys["use_cpu"] |= not torch.accelerator.is_available()  # torchrun's processes do not find out by themselves
    _check_precision(keys)
    try:
        return TrainingArguments(
            output_dir=str(output),
            remove_unused_columns=False,
            label_names=["labels"],
            length_column_name="cost",
            ddp_find_unused_parameters=False,
            logging_nan_inf_filter=False,  # such a loss ends the run
            report_to="none" if config.tracking.mode == "disabled" else "wandb",
            **keys,
        )
    except (ValueError, ImportError, OSError) as error:
        raise UserError(f"train: {str(error).splitlines()[0]}") from None


def _check_precision(keys: Mapping[str, Any]) -> None:
    if not keys["use_cpu"]:
        return
    if keys.get("fp16"):
        raise UserError("train.fp16=true: half precision trains on a GPU only, and there is none here")
    if keys.get("bf16") and not _multiplies_bf16():
        raise UserError(
            "train.bf16=true: this processor multiplies no bf16 (AMX), so bf16 would be several times slower than "
            "fp32; leave it false here"
        )


def _multiplies_bf16() -> bool:
    facts = Path("/proc/cpuinfo")
    return facts.exists() and "amx_bf16" in facts.read_text(encoding="utf-8")
