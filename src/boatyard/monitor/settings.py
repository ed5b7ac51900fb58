"""What the monitor reads from its environment, once."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from boatyard.config.addresses import LOOPBACK, read_port
from boatyard.config.environment import DEFAULT_MODEL, DEFAULT_STORAGE, read_model
from boatyard.config.errors import UserError
from boatyard.monitor.drift import MIN_EFFECT
from boatyard.monitor.statistics import MIN_ROWS
from boatyard.registry import Reference

MAX_ROWS = 10_000  # to compare so many takes seconds, and about a gigabyte


@dataclass(frozen=True)
class Settings:
    """Which model is watched, over which time, and where the service listens."""

    storage: str = DEFAULT_STORAGE
    model: Reference = DEFAULT_MODEL
    host: str = "127.0.0.1"
    port: int = 8001
    hours: int = 24
    """The window: the predictions of the last so many hours."""
    rows: int = 2_500
    """The size of the sample that is compared: a larger one shows smaller changes."""
    min_effect: float = MIN_EFFECT
    """A change of a smaller share of the inputs is irrelevant, however significant."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Raises UserError, which names the variable."""
        host = environment.get("BOATYARD_HOST") or cls.host
        if host not in LOOPBACK and environment.get("BOATYARD_ALLOW_ANONYMOUS") != "1":
            raise UserError(
                f"BOATYARD_HOST: on {host} anybody could ask the monitor, which knows no keys; set "
                "BOATYARD_ALLOW_ANONYMOUS=1 if something in front of it authenticates"
            )
        return cls(
            *read_model(environment),
            host,
            read_port(environment, cls.port),
            hours=_number(environment, "BOATYARD_DRIFT_HOURS", cls.hours, 1, 24 * 31),
            rows=_number(environment, "BOATYARD_DRIFT_ROWS", cls.rows, MIN_ROWS, MAX_ROWS),
            min_effect=_share(environment, "BOATYARD_DRIFT_LEAST", cls.min_effect),
        )


def _number(environment: Mapping[str, str], variable: str, default: int, lowest: int, highest: int) -> int:
    number = environment.get(variable) or str(default)
    if not (re.fullmatch("[0-9]{1,6}", number) and lowest <= int(number) <= highest):
        raise UserError(f"{variable}: {number!r} is not a number from {lowest} to {highest}")
    return int(number)


def _share(environment: Mapping[str, str], variable: str, default: float) -> float:
    share = environment.get(variable) or str(default)
    if not re.fullmatch(r"0|0?\.[0-9]{1,6}", share):
        raise UserError(f"{variable}: {share!r} is not a share from 0 to below 1, such as 0.02")
    return float(share)
