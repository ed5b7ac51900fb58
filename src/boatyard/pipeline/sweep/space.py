"""The space that is searched, and a point of it as overrides."""

from collections.abc import Iterable, Mapping, Sequence

from boatyard.config.compose import load_config, options
from boatyard.config.errors import UserError
from boatyard.config.owned import owners
from boatyard.config.schema import Choices, Range, Sweep


def check_space(sweep: Sweep, overrides: Sequence[str]) -> None:
    """Compose the configuration at every bound and choice.

    Raises:
        UserError: a key is none of the configuration's, or a bound is no value for it. If it is the input's or the
            task's, the sentence names the files whose keys this configuration has.
    """
    try:
        _check(sweep, overrides)
    except UserError as wrong:
        fitting = [name for name in options("sweep") if _has_owned(sweep.space) and _fits(name, overrides)]
        if not fitting:
            raise
        raise UserError(f"{wrong} (for this model there is sweep={' or sweep='.join(fitting)})") from None


def _has_owned(space: Iterable[str]) -> bool:
    return any(map(owners, space))


def _fits(name: str, overrides: Sequence[str]) -> bool:
    """Whether the file searches keys of the input or the task that is chosen, and these alone."""
    chosen = [*overrides, f"sweep={name}"]
    try:
        sweep = load_config(chosen).sweep
        assert sweep is not None
        load_config([*chosen, *assigned({key: _ends(values)[0] for key, values in sweep.space.items()})])
    except UserError:
        return False
    return _has_owned(sweep.space)


def _check(sweep: Sweep, overrides: Sequence[str]) -> None:
    for key, values in sweep.space.items():
        if _is_of_the_sweep(key):
            raise UserError(f"{key} says how to search and cannot be searched itself")
        for value in _ends(values):
            load_config([*overrides, *assigned({key: value})])


def _ends(values: Choices | Range) -> Sequence[object]:
    return values.choices if isinstance(values, Choices) else (values.low, values.high)


def assigned(point: Mapping[str, object]) -> list[str]:
    """The point as overrides, with every digit: they must lead to the run that the trial trained."""
    return [f"{key}={value}" for key, value in point.items()]


def fixed(sweep: Sweep, overrides: Sequence[str]) -> list[str]:
    """The user's overrides that hold for every trial."""
    by_key = [(override.partition("=")[0].lstrip("+"), override) for override in overrides]
    return [override for key, override in by_key if key not in sweep.space and not _is_of_the_sweep(key)]


def _is_of_the_sweep(key: str) -> bool:
    return key.partition(".")[0] == "sweep"
