"""The configuration keys of texts."""

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from boatyard.config.schema import Model, Section
from boatyard.inputs.text.mask import check_pattern

_MOST_PATTERNS = 100


class Scratch(Section):
    """The shape of a network that starts from random weights."""

    vocabulary: int = Field(ge=100)
    hidden_size: int = Field(ge=8)
    layers: int = Field(ge=1)
    heads: int = Field(ge=1)
    cased: bool = False
    """Whether its vocabulary tells capitals from small letters."""


class TextData(Section):
    """Which columns of the source hold the texts, and patterns of what no model may see of them."""

    text_columns: list[str] = Field(["text"], min_length=1, max_length=2)
    mask: list[str] = Field([])

    @field_validator("mask")
    @classmethod
    def _can_be_left_out(cls, patterns: list[str]) -> list[str]:
        if len(patterns) > _MOST_PATTERNS:
            raise ValueError(f"there may be {_MOST_PATTERNS} patterns, and these are {len(patterns):,}")
        for pattern in patterns:
            check_pattern(pattern)
        return patterns


class TextModel(Section):
    """What a network reads of a text; `scratch`: its shape where it starts from random weights."""

    max_tokens: int = Field(128, ge=8, le=8192)
    long: Literal["head", "tail", "head_tail", "windows"] = "head"
    """Which tokens the encoder reads of a text that has more; windows: all of them, `max_tokens` at a time."""
    word_dropout: float = Field(0.0, ge=0, lt=1)
    wide: bool = True
    """Whether counted words of the whole text help the encoder."""
    scratch: Scratch | None = None


class Start(Section):
    """A network of texts starts somewhere."""

    @model_validator(mode="after")
    def _starts_somewhere(self) -> Self:
        if getattr(self, "name") is None and getattr(self, "text").scratch is None:  # noqa: B009 - of the whole section
            raise ValueError("name or text.scratch must be given")
        return self


SECTIONS: Mapping[str, type[Section]] = {"data": TextData, "model": Start, "model.text": TextModel}
MOVED_KEYS: Mapping[str, str] = {f"model.{key}": f"model.text.{key}" for key in TextModel.model_fields}


def text_data(data: Any) -> TextData:
    """The keys of `data` that a configuration for texts has."""
    keys: TextData = data
    return keys


def text_model(model: Model) -> TextModel:
    """The section `model.text`, which a configuration for texts has."""
    section: TextModel = model.text  # type: ignore[attr-defined]
    return section
