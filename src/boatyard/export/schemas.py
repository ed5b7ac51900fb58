"""Checks a bundle's schemas against what they describe: they document the API, and so must not be wrong."""

from collections.abc import Mapping
from typing import Any

from jsonschema import Draft202012Validator

from boatyard.config.errors import UserError


def require_fit(schema: Mapping[str, Any], instance: object, what: str) -> None:
    """Raises UserError if the instance does not fit the schema; `what`: a noun phrase for it."""
    if wrong := next(iter(Draft202012Validator(schema).iter_errors(instance)), None):
        raise UserError(f"{what} does not fit its own schema: {wrong.json_path} {wrong.message[:200]}")
