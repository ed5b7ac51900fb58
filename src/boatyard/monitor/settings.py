"""What the monitor reads from its environment, once."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from boatyard.config.addresses import LOOPBACK, read_port
from boatyard.config.environment import DEFAULT_MODEL, DEFAULT_STORAGE, read_model
from boatyard.config.errors import UserError
from boatyard.monitor.drift import LEAST
from boatyard.monitor.statistics import LEAST_ROWS
from boatyard.registry import Reference

MOST_ROWS = 10_000  # what the statistics of so many take: seconds, and about a gigabyte


@dataclass(frozen=True)
class Settings:
    """Which model is watched, over which time, and where the service listens."""

    storage: str = DEFAULT_STORAGE
    model: Reference = DEFAULT_MODEL
    host: str = "127.0.0.1"
    port: int = 8001
    hours: int = 24
    """The window: predictions of so many hours until now."""
    rows: int = 2_500
    """Of which so many are drawn and compared: more of them show smaller changes."""
    least: float = LEAST
    """What is too small to matter, however sure it is: the share of inputs that must be other than before."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Raises UserError, which names the variable."""
        host = environment.get("BOATYARD_HOST") or cls.host
        if host not in LOOPBACK and environment.get("BOATYARD_ALLOW_ANONYMOUS") != "1":
            raise UserError(
                f"BOATYARD_HOST: on {host} anybody could ask the monitor, which knows no keys; give "
                "BOATYARD_ALLOW_ANONYMOUS=1 where something in front lets in who may"
            )
        return cls(
            *read_model(environment),
            host,
            read_port(environment, cls.port),
            hours=_number(environment, "BOATYARD_DRIFT_HOURS", cls.hours, 1, 24 * 31),
            rows=_number(environment, "BOATYARD_DRIFT_ROWS", cls.rows, LEAST_ROWS, MOST_ROWS),
            least=_share(environment, "BOATYARD_DRIFT_LEAST", cls.least),
        )


def _number(environment: Mapping[str, str], variable: str, default: int, least: int, most: int) -> int:
    given = environment.get(variable) or str(default)
    if not (re.fullmatch("[0-9]{1,6}", given) and least <= int(given) <= most):
        raise UserError(f"{variable}: {given!r} is not a number from {least} to {most}")
    return int(given)


def _share(environment: Mapping[str, str], variable: str, default: float) -> float:
    share = environment.get(variable) or str(default)
    if not re.fullmatch(r"0|0?\.[0-9]{1,6}", share):
        raise UserError(f"{variable}: {share!r} is not a share from 0 to below 1, such as 0.02")
    return float(share)
