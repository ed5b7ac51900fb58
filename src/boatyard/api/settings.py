"""What the server reads from its environment, once."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, model_validator

from boatyard.api.journalled import Keep
from boatyard.api.keys import Keys
from boatyard.config.addresses import LOOPBACK
from boatyard.config.environment import WHOLE, Flag, Listening, written
from boatyard.config.errors import UserError
from boatyard.registry.settings import ModelSettings

_DECIMAL = written(r"[0-9]{1,4}(\.[0-9]{1,3})?")


def _make(folder: str) -> str:
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError as wrong:
        raise ValueError(f"{folder!r} must be a folder that can be written: {wrong}") from None
    return folder


def _read_lines(file: object) -> object:
    if not isinstance(file, str):
        return file
    try:
        lines = Path(file).read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as wrong:
        raise ValueError(f"{file!r} cannot be read: {wrong}") from None
    return [line for line in lines if line.strip()]


def _split(listed: object) -> object:
    return [entry for entry in listed.split(",") if entry.strip()] if isinstance(listed, str) else listed


def _check(entries: tuple[str, ...]) -> tuple[str, ...]:
    try:
        Keys(entries, 1)
    except UserError as wrong:
        raise ValueError(str(wrong)) from None
    return entries


def _add_file(listed: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
    return (*listed, *info.data.get(f"{info.field_name}_file", ()))


_Entries = tuple[str, ...]
_KeyFile = Annotated[_Entries, BeforeValidator(_read_lines), AfterValidator(_check), Field(repr=False)]
_Keys = Annotated[
    _Entries,
    BeforeValidator(_split),
    AfterValidator(_add_file),
    AfterValidator(_check),
    Field(repr=False, validate_default=True),
]


class Settings(ModelSettings, Listening):
    """Where the models lie, which one answers by default, and where to listen."""

    watch_seconds: float = 1.0
    """How often the default model's alias is resolved again."""
    spool: Annotated[str, AfterValidator(_make)] = Field(
        "spool", validation_alias="BOATYARD_SPOOL", validate_default=True
    )
    """A folder of this machine's: what the journal has not shipped to the storage yet."""
    journal_input: Keep = Field("stored", validation_alias="BOATYARD_JOURNAL_INPUT")
    """What the journal keeps of what clients sent."""
    api_keys_file: _KeyFile = Field((), validation_alias="BOATYARD_API_KEYS_FILE")
    api_keys: _Keys = Field((), validation_alias="BOATYARD_API_KEYS")
    """`name:sha256` each, also those of the file; without any, everybody may ask."""
    admin_keys_file: _KeyFile = Field((), validation_alias="BOATYARD_ADMIN_KEYS_FILE")
    admin_keys: _Keys = Field((), validation_alias="BOATYARD_ADMIN_KEYS")
    """`name:sha256` each, also those of the file; without any, nobody moves an alias over HTTP."""
    requests_per_second: Annotated[float, _DECIMAL] = Field(
        100.0, validation_alias="BOATYARD_REQUESTS_PER_SECOND", gt=0, description="a number above 0"
    )
    """By one key, at most."""
    request_mib: Annotated[int, WHOLE] | None = Field(
        None, validation_alias="BOATYARD_REQUEST_MIB", ge=1, le=32, description="a whole number from 1 to 32"
    )
    """The largest body of a prediction request, in JSON accordingly more; by default what the model's input says."""
    drain_seconds: Annotated[float, _DECIMAL] = Field(
        1.0, validation_alias="BOATYARD_DRAIN_SECONDS", description="a number of seconds, such as 1 or 2.5"
    )
    """How long a server still answers after the signal to stop, while /readyz says that it is not ready."""
    allow_anonymous: Flag = Field(False, validation_alias="BOATYARD_ALLOW_ANONYMOUS")
    """Whether anybody may ask on an address that other machines reach."""

    @model_validator(mode="after")
    def _check_that_not_everybody_may_ask(self) -> Self:
        if not (self.api_keys or self.host in LOOPBACK or self.allow_anonymous):
            raise UserError(
                f"BOATYARD_API_KEYS: on {self.host} anybody could ask; give keys (python -m boatyard.api.keys NAME), "
                "or BOATYARD_ALLOW_ANONYMOUS=1 where something in front lets in who may"
            )
        return self
