"""The storage and the model that a process works with, from its environment."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from boatyard.config.environment import EnvironmentSettings
from boatyard.config.errors import UserError
from boatyard.registry.reference import DEFAULT_ALIAS, ROOT, Reference, parse_reference
from boatyard.storage import open_storage

_STORAGE, _MODEL = "BOATYARD_STORAGE", "BOATYARD_MODEL"


def _check_root(root: str) -> str:
    try:
        open_storage(root)
    except UserError as error:
        raise ValueError(str(error)) from None
    return root


def _parse(model: object) -> object:
    if not isinstance(model, str):
        return model
    if "/" in model:
        raise ValueError(f"{model!r} is neither NAME[@ALIAS] nor STORAGE/{ROOT}NAME[@ALIAS]")
    try:
        return parse_reference(model)
    except UserError as error:
        raise ValueError(str(error)) from None


class StorageSettings(EnvironmentSettings):
    """Where the journal, jobs and, unless something else is said, models are stored."""

    storage: Annotated[str, BeforeValidator(_check_root)] = Field(".", validation_alias=_STORAGE)


class ModelSettings(StorageSettings):
    """Which model, and where it is stored.

    BOATYARD_MODEL may include the storage, as in `gs://BUCKET/PREFIX/models/NAME@production`. With another in
    BOATYARD_STORAGE, models come from the first, and all else goes to the second: so two environments share models.
    """

    model: Annotated[Reference, BeforeValidator(_parse)] = Field(
        Reference("inbox", DEFAULT_ALIAS), validation_alias=_MODEL
    )
    apart: str | None = None
    """The storage of the models, where BOATYARD_MODEL names it."""

    @property
    def registry(self) -> str:
        """The storage of the models."""
        return self.apart or self.storage

    @model_validator(mode="before")
    @classmethod
    def _split_model(cls, values: dict[str, Any]) -> dict[str, Any]:
        root, separator, reference = str(values.get(_MODEL, "")).rpartition(f"/{ROOT}")
        if not separator or "/" in reference:
            return values
        if not (root := root.rstrip("/")):
            return {**values, _MODEL: reference}
        try:
            open_storage(root)
        except UserError as error:
            raise UserError(f"{_MODEL}: {error}") from None
        return {**values, _MODEL: reference, "apart": root, _STORAGE: values.get(_STORAGE) or root}
