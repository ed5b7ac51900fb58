"""Settings from the environment: what a class declares is read, and what is wrong is one sentence."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import AfterValidator, Field, ValidationError

from boatyard.api.settings import Settings as ApiSettings
from boatyard.config.environment import WHOLE, EnvironmentSettings, Flag, Listening, Port, written
from boatyard.config.errors import UserError

pytestmark = pytest.mark.unit


def refuse(secret: str) -> str:
    if secret.startswith("plain"):
        raise ValueError("it is not hashed")
    return secret


class Settings(EnvironmentSettings):
    port: Port = 8000
    mode: Literal["slow", "fast"] = Field("slow", validation_alias="MODE")
    workers: Annotated[int, WHOLE] = Field(
        2, validation_alias="WORKERS", ge=1, le=8, description="a number from 1 to 8"
    )
    pause: Annotated[float, written(r"[0-9]+(\.[0-9]+)?")] = Field(
        0.5, validation_alias="PAUSE", description="a number of seconds"
    )
    open: Flag = Field(False, validation_alias="OPEN")
    secret: Annotated[str, AfterValidator(refuse)] = Field("", validation_alias="SECRET", repr=False)


def read(**environment: str) -> Settings:
    return Settings.from_environment(environment)


def test_each_field_is_read_from_its_variable_as_its_type() -> None:
    settings = read(PORT="9000", MODE="fast", WORKERS="08", PAUSE="2", OPEN="1", SECRET="s")  # noqa: S106
    assert settings == Settings(port=9000, mode="fast", workers=8, pause=2.0, open=True, secret="s")  # noqa: S106


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        *(
            ("PORT", port, f"{port!r} is not a port: it is a number from 1 to 65535")
            for port in ("x", "0", "65536", "-1", " 80", "8_0", "80.0", "²", "9" * 5000)
        ),
        ("MODE", "Fast", "'Fast' is none of slow, fast"),
        ("MODE", " ", "' ' is none of slow, fast"),
        *(
            ("WORKERS", workers, f"{workers!r} is not a number from 1 to 8")
            for workers in ("0", "9", "two", " ", "1e0")
        ),
        *(
            ("PAUSE", pause, f"{pause!r} is not a number of seconds")
            for pause in ("-1", "inf", "nan", "1e3", "1_0", " ")
        ),
        ("SECRET", "plain text", "it is not hashed"),
    ],
)
def test_what_is_wrong_is_one_sentence_that_names_the_variable(variable: str, value: str, said: str) -> None:
    with pytest.raises(UserError) as refused:
        read(**{variable: value})
    assert str(refused.value) == f"{variable}: {said}"


def test_a_secret_is_shown_by_no_error_and_no_repr() -> None:
    with pytest.raises(UserError) as refused:
        read(SECRET="plain text")  # noqa: S106
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__
    with pytest.raises(ValidationError) as invalid:
        Settings(secret="plain text")  # noqa: S106
    assert "plain text" not in str(invalid.value)
    entry = f"ana:{'a' * 64}"
    assert "hidden" not in repr(read(SECRET="hidden"))  # noqa: S106
    assert entry not in repr(ApiSettings(spool=".", api_keys=(entry,), admin_keys=(entry,)))


def test_an_empty_variable_counts_as_unset() -> None:
    assert read(PORT="", MODE="", WORKERS="", PAUSE="", OPEN="", SECRET="") == Settings()


@pytest.mark.parametrize("value", ["0", "true", "yes", " "])
def test_a_flag_is_set_by_1_alone(value: str) -> None:
    assert not read(OPEN=value).open


@pytest.mark.parametrize("environment", [{"workers": "5"}, {"Workers": "5"}, {"port": "5"}, {"host": "x", "HOST": "x"}])
def test_only_the_declared_name_is_read(environment: Mapping[str, str]) -> None:
    assert Settings.from_environment(environment) == Settings()
    assert Listening.from_environment(environment) == Listening()


def test_nothing_but_the_environment_is_read_and_that_only_on_demand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(".env").write_text("WORKERS=5\n")
    monkeypatch.setenv("WORKERS", "7")
    assert Settings().workers == read().workers == 2
    assert Settings.from_environment().workers == 7
    monkeypatch.delenv("WORKERS")
    assert Settings.from_environment().workers == 2


def test_of_several_errors_the_first_declared_is_told() -> None:
    with pytest.raises(UserError, match=r"^PORT: "):
        read(WORKERS="x", MODE="x", PORT="x")
