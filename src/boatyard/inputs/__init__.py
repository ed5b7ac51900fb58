"""Kinds of problem: everything that depends on what a row *is* lives in one folder per kind.

A kind has two halves that never import each other's libraries. `boatyard.inputs.<kind>.serving` answers
requests from a bundle; `boatyard.inputs.<kind>.training` turns rows into model inputs and builds the network.
"""

from importlib import import_module
from typing import cast

from boatyard.config.errors import UserError
from boatyard.inputs.protocol import ServingKind, TrainingKind

KINDS = ("text",)


def serving(kind: str) -> ServingKind:
    """The half that answers: imports neither torch nor pandas."""
    return cast(ServingKind, import_module(f"boatyard.inputs.{_known(kind)}.serving"))


def training(kind: str) -> TrainingKind:
    """The half that learns."""
    return cast(TrainingKind, import_module(f"boatyard.inputs.{_known(kind)}.training"))


def _known(kind: str) -> str:
    if kind not in KINDS:
        raise UserError(f"unknown kind {kind!r}: this version knows {', '.join(KINDS)}")
    return kind
