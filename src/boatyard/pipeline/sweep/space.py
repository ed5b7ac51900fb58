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
    """The overrides that lead there: to the digit, so that what a trial trained is found again by them."""
    return [f"{key}={value}" for key, value in point.items()]


def fixed(sweep: Sweep, overrides: Sequence[str]) -> list[str]:
    """The user's overrides that hold for every trial."""
    keys = [word.partition("=")[0].lstrip("+") for word in overrides]
    return [
        word for word, key in zip(overrides, keys, strict=True) if key not in sweep.space and not _is_of_the_sweep(key)
    ]


def _is_of_the_sweep(key: str) -> bool:
    return key.partition(".")[0] == "sweep"
