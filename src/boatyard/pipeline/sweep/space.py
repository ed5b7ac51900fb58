"""The space that is searched, and a point of it as overrides."""

from collections.abc import Mapping, Sequence

from boatyard.config.compose import load_config
from boatyard.config.errors import UserError
from boatyard.config.schema import Choices, Sweep


def check_space(sweep: Sweep, overrides: Sequence[str]) -> None:
    """Compose the configuration at every bound and choice.

    Raises:
        UserError: a key is none of the configuration's, or a bound is no value for it.
    """
    for key, values in sweep.space.items():
        if _is_of_the_sweep(key):
            raise UserError(f"{key} says how to search and cannot be searched itself")
        for value in values.choices if isinstance(values, Choices) else (values.low, values.high):
            load_config([*overrides, *assigned({key: value})])


def assigned(point: Mapping[str, object]) -> list[str]:
    """The point as overrides, with every digit: they must lead to the run that the trial trained."""
    return [f"{key}={value}" for key, value in point.items()]


def fixed(sweep: Sweep, overrides: Sequence[str]) -> list[str]:
    """The user's overrides that hold for every trial."""
    by_key = [(override.partition("=")[0].lstrip("+"), override) for override in overrides]
    return [override for key, override in by_key if key not in sweep.space and not _is_of_the_sweep(key)]


def _is_of_the_sweep(key: str) -> bool:
    return key.partition(".")[0] == "sweep"
