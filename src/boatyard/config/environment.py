"""Settings from the environment: a class declares them, its types say what is right, and errors are one sentence."""

import os
import re
from collections.abc import Mapping
from typing import Annotated, Self, get_args

from pydantic import BeforeValidator, Field, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from boatyard.config.errors import UserError


class EnvironmentSettings(BaseSettings):
    """Settings that a process reads once. Each field's validation alias is its variable.

    A field's description completes the sentence "VARIABLE: VALUE is not ...". Without one, an error is in the words of
    the ValueError that a validator raises, and the value, which may be a secret, is not shown.
    """

    model_config = SettingsConfigDict(
        frozen=True,
        case_sensitive=True,
        enable_decoding=False,  # a variable holds text, never JSON
        hide_input_in_errors=True,
        validate_by_name=True,
        validate_by_alias=True,
    )

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Read `environment`. An empty variable counts as unset. Raises UserError, which names the variable."""
        try:
            return cls(**_Variables(cls, environment)())
        except ValidationError as wrong:
            raise UserError(cls._sentence(wrong.errors(include_url=False)[0])) from None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only the arguments: the environment is read by `from_environment` alone, and no other source at all."""
        return (init_settings,)

    @classmethod
    def _sentence(cls, error: ErrorDetails) -> str:
        variable = error["loc"][0]
        field = next(field for field in cls.model_fields.values() if field.validation_alias == variable)
        if error["type"] == "literal_error":
            return f"{variable}: {error['input']!r} is none of {', '.join(get_args(field.annotation))}"
        if field.description:
            return f"{variable}: {error['input']!r} is not {field.description}"
        return f"{variable}: {error['ctx']['error']}"


class _Variables(EnvSettingsSource):
    """The variables of a mapping. A field's own name, which is in lower case, is not the name of one."""

    def __init__(self, settings: type[BaseSettings], environment: Mapping[str, str]) -> None:
        self._environment = environment
        super().__init__(settings)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return {name: value for name, value in self._environment.items() if value and name.isupper()}


def written(pattern: str) -> BeforeValidator:
    """Text must match `pattern` to be a number: pydantic would also accept ` 1_000`, `1e3` and `inf`."""

    def check(value: object) -> object:
        if isinstance(value, str) and not re.fullmatch(pattern, value):
            raise PydanticCustomError("written", "not written as a number")
        return value

    return BeforeValidator(check)


WHOLE = written("[0-9]{1,6}")
Flag = Annotated[bool, BeforeValidator(lambda value: value in (True, "1"))]
"""Set by `1` alone."""
Port = Annotated[
    int,
    WHOLE,
    Field(ge=1, le=65535, validation_alias="PORT", description="a port: it is a number from 1 to 65535"),
]


class Listening(EnvironmentSettings):
    """Where a server listens."""

    host: str = Field("127.0.0.1", validation_alias="BOATYARD_HOST")
    port: Port = 8000
