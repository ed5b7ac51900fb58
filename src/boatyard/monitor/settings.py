"""What the monitor reads from its environment, once."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from boatyard.config.addresses import LOOPBACK
from boatyard.config.environment import WHOLE, Flag, Listening, Port, written
from boatyard.config.errors import UserError
from boatyard.monitor.drift import MIN_EFFECT
from boatyard.monitor.statistics import MIN_ROWS
from boatyard.registry.settings import ModelSettings

MAX_HOURS = 24 * 31
MAX_ROWS = 10_000  # to compare so many takes seconds, and about a gigabyte


class Settings(ModelSettings, Listening):
    """Which model is watched, over which time, and where the service listens."""

    port: Port = 8001
    hours: Annotated[int, WHOLE] = Field(
        24,
        validation_alias="BOATYARD_DRIFT_HOURS",
        ge=1,
        le=MAX_HOURS,
        description=f"a number from 1 to {MAX_HOURS}",
    )
    """The window: the predictions of the last so many hours."""
    rows: Annotated[int, WHOLE] = Field(
        2_500,
        validation_alias="BOATYARD_DRIFT_ROWS",
        ge=MIN_ROWS,
        le=MAX_ROWS,
        description=f"a number from {MIN_ROWS} to {MAX_ROWS}",
    )
    """The size of the sample that is compared: a larger one shows smaller changes."""
    min_effect: Annotated[float, written(r"0|0?\.[0-9]{1,6}")] = Field(
        MIN_EFFECT,
        validation_alias="BOATYARD_DRIFT_LEAST",
        description="a share from 0 to below 1, such as 0.02",
    )
    """A change of a smaller share of the inputs is irrelevant, however significant."""
    allow_anonymous: Flag = Field(False, validation_alias="BOATYARD_ALLOW_ANONYMOUS")
    """Whether anybody may ask on an address that other machines reach."""

    @model_validator(mode="after")
    def _check_that_not_everybody_may_ask(self) -> Self:
        if not (self.host in LOOPBACK or self.allow_anonymous):
            raise UserError(
                f"BOATYARD_HOST: on {self.host} anybody could ask the monitor, which knows no keys; set "
                "BOATYARD_ALLOW_ANONYMOUS=1 if something in front of it authenticates"
            )
        return self
