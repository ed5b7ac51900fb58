"""The same search as a sweep of Weights & Biases, which its agents run."""

from collections.abc import Sequence
from typing import Any

import yaml

from boatyard.config.schema import Choices, Range, Sweep
from boatyard.pipeline.sweep.space import fixed
from boatyard.train.metric import Metric


def wandb_sweep(sweep: Sweep, metric: Metric, overrides: Sequence[str]) -> str:
    """YAML for `wandb sweep FILE`."""
    always = [*fixed(sweep, overrides), "tracking=wandb"]
    definition = {
        "name": sweep.name,
        "method": "bayes",
        "metric": {"name": f"eval/{metric.name}", "goal": metric.direction},
        "run_cap": sweep.trials,
        "early_terminate": {"type": "hyperband", "min_iter": max(sweep.warmup, 1)},
        "parameters": {key: _distribution(values) for key, values in sweep.space.items()},
        "program": "boatyard.train",
        "command": ["${env}", "python", "-m", "${program}", *always, "${args_no_hyphens}"],
    }
    dumped: str = yaml.safe_dump(definition, sort_keys=False)
    return dumped


def _distribution(values: Range | Choices) -> dict[str, Any]:
    if isinstance(values, Choices):
        return {"values": values.choices}
    bounds: dict[str, Any] = {"min": values.low, "max": values.high}
    if values.log:
        if values.whole:
            return {"distribution": "q_log_uniform_values", **bounds, "q": 1}
        return {"distribution": "log_uniform_values", **bounds}
    if values.step is not None:
        return {"distribution": "q_uniform", **bounds, "q": values.step}
    return {"distribution": "int_uniform" if values.whole else "uniform", **bounds}
