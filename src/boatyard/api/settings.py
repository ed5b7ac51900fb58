"""What the server reads from its environment, once."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from boatyard.api.journalled import KEEPS, Keep
from boatyard.api.keys import Keys
from boatyard.config.addresses import LOOPBACK, read_port
from boatyard.config.environment import DEFAULT_MODEL, DEFAULT_STORAGE, read_model
from boatyard.config.errors import UserError
from boatyard.registry import Reference

_NUMBER = re.compile(r"[0-9]{1,4}(\.[0-9]{1,3})?")


@dataclass(frozen=True)
class Settings:
    """Where the models lie, which one answers by default, and where to listen."""

    storage: str = DEFAULT_STORAGE
    model: Reference = DEFAULT_MODEL
    host: str = "127.0.0.1"
    port: int = 8000
    watch_seconds: float = 1.0
    """How often the default model's alias is resolved again."""
    spool: str = "spool"
    """A folder of this machine's: what the journal has not shipped to the storage yet."""
    journal_input: Keep = "stored"
    """What the journal keeps of what clients sent."""
    api_keys: tuple[str, ...] = ()
    """`name:sha256` each; without any, everybody may ask."""
    admin_keys: tuple[str, ...] = ()
    """`name:sha256` each; without any, nobody moves an alias over HTTP."""
    requests_per_second: float = 100.0
    """By one key, at most."""
    drain_seconds: float = 1.0
    """How long a server still answers after the signal to stop, while /readyz says that it is not ready."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """An empty variable counts as unset. Raises UserError, which names the variable."""

        def read(variable: str, default: str) -> str:
            return environment.get(variable) or default

        storage, model = read_model(environment)
        port = read_port(environment, cls.port)
        spool = read("BOATYARD_SPOOL", cls.spool)
        try:
            Path(spool).mkdir(parents=True, exist_ok=True)
        except OSError as wrong:
            raise UserError(f"BOATYARD_SPOOL: {spool!r} must be a folder that can be written: {wrong}") from None
        keep = read("BOATYARD_JOURNAL_INPUT", cls.journal_input)
        if keep not in KEEPS:
            raise UserError(f"BOATYARD_JOURNAL_INPUT: {keep!r} is none of {', '.join(KEEPS)}")
        drain = read("BOATYARD_DRAIN_SECONDS", str(cls.drain_seconds))
        if not _NUMBER.fullmatch(drain):
            raise UserError(f"BOATYARD_DRAIN_SECONDS: {drain!r} is not a number of seconds, such as 1 or 2.5")
        rate = read("BOATYARD_REQUESTS_PER_SECOND", str(cls.requests_per_second))
        if not (_NUMBER.fullmatch(rate) and float(rate)):
            raise UserError(f"BOATYARD_REQUESTS_PER_SECOND: {rate!r} is not a number above 0")
        host = read("BOATYARD_HOST", cls.host)
        keys = _read_keys(environment, "BOATYARD_API_KEYS")
        if not (keys or host in LOOPBACK or read("BOATYARD_ALLOW_ANONYMOUS", "") == "1"):
            raise UserError(
                f"BOATYARD_API_KEYS: on {host} anybody could ask; give keys (python -m boatyard.api.keys NAME), or "
                "BOATYARD_ALLOW_ANONYMOUS=1 where something in front lets in who may"
            )
        return cls(
            storage,
            model,
            host,
            port,
            spool=spool,
            journal_input=keep,
            api_keys=keys,
            admin_keys=_read_keys(environment, "BOATYARD_ADMIN_KEYS"),
            requests_per_second=float(rate),
            drain_seconds=float(drain),
        )


def _read_keys(environment: Mapping[str, str], variable: str) -> tuple[str, ...]:
    """From the variable, separated by commas, and from the lines of the file that VARIABLE_FILE names."""
    listed, file = environment.get(variable) or "", environment.get(f"{variable}_FILE") or ""
    entries = [entry for entry in listed.split(",") if entry.strip()]
    if file:
        try:
            entries += [line for line in Path(file).read_text(encoding="utf-8").splitlines() if line.strip()]
        except (OSError, ValueError) as wrong:
            raise UserError(f"{variable}_FILE: {file!r} cannot be read: {wrong}") from None
    try:
        Keys(entries, 1)
    except UserError as wrong:
        raise UserError(f"{variable}_FILE: {wrong}" if file else f"{variable}: {wrong}") from None
    return tuple(entries)
