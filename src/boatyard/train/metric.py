"""What checkpoints and searches go by, on the validation split."""

from dataclasses import dataclass
from typing import Literal

from boatyard import tasks
from boatyard.config.errors import UserError

LOSS = "loss"
_PRIMARY = "score"


@dataclass(frozen=True)
class Metric:
    """A figure of each evaluation, by its name there, and whether higher is better."""

    name: str
    higher_is_better: bool

    @property
    def direction(self) -> Literal["minimize", "maximize"]:
        """As Optuna and Weights & Biases call it."""
        return "maximize" if self.higher_is_better else "minimize"


def primary(task: str) -> Metric:
    """The task's own choice."""
    return Metric(*next(iter(tasks.training(task).VALIDATION.items())))


def metric(task: str, name: str, key: str) -> Metric:
    """`score` is the task's primary one, and `loss` that of training. `key`: of the configuration that names it.

    Raises:
        UserError: nothing of that name is measured.
    """
    if name == _PRIMARY:
        return primary(task)
    measured = {**tasks.training(task).VALIDATION, LOSS: False}
    if name not in measured:
        raise UserError(f"{key}={name}: on validation, {task} measures {', '.join(measured)}; {_PRIMARY} is the first")
    return Metric(name, measured[name])
