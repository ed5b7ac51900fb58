"""What the server reads from its environment, once."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from boatyard.errors import UserError
from boatyard.registry import DEFAULT_ALIAS, Reference, parse_reference
from boatyard.storage import open_storage

DEFAULT_MODEL = Reference("inbox", DEFAULT_ALIAS)


@dataclass(frozen=True)
class Settings:
    """Where the models lie, which one answers by default, and where to listen."""

    storage: str = "."
    model: Reference = DEFAULT_MODEL
    host: str = "127.0.0.1"
    port: int = 8000

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """An empty variable counts as unset. Raises UserError, which names the variable."""

        def read(variable: str, default: str) -> str:
            return environment.get(variable) or default

        storage = read("BOATYARD_STORAGE", cls.storage)
        try:
            open_storage(storage)
        except UserError as wrong:
            raise UserError(f"BOATYARD_STORAGE: {wrong}") from None
        try:
            model = parse_reference(read("BOATYARD_MODEL", str(cls.model)))
        except UserError as wrong:
            raise UserError(f"BOATYARD_MODEL: {wrong}") from None
        port = read("PORT", str(cls.port))
        if not (port.isascii() and port.isdigit() and 1 <= int(port[:6]) <= 65535):
            raise UserError(f"PORT: {port!r} is not a port: it is a number from 1 to 65535")
        return cls(storage, model, read("BOATYARD_HOST", cls.host), int(port))
