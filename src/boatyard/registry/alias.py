"""Aliases: which version each points at, and moving them by compare-and-swap."""

from datetime import UTC, datetime
from enum import Enum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from boatyard.bundle.manifest import MANIFEST, NAME, VERSION
from boatyard.config.errors import UserError, suggestion
from boatyard.registry.reference import DEFAULT_ALIAS, ROOT, Reference, UnknownModel, checked, exact, home
from boatyard.storage import Conflict, Storage

_MOST_LISTED = 3  # of the published names, in a message: any client may request an unknown one


class AliasMoved(UserError):  # noqa: N818 - says what happened
    """The alias no longer points at the version that the decision to move it was based on."""


class _Anywhere(Enum):
    ANYWHERE = "anywhere"


ANYWHERE = _Anywhere.ANYWHERE
"""Move the alias wherever it points."""

Expected = str | None | _Anywhere
"""The version that an alias must point at to be moved; None: the alias must not exist."""


class Move(BaseModel):
    """One step in an alias's history."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str = Field(pattern=f"^{VERSION.pattern}$")
    time: str
    action: Literal["promote", "rollback"]


class Alias(BaseModel):
    """The version that an alias points at, and all its moves, oldest first."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str = Field(pattern=f"^{VERSION.pattern}$")
    updated: str
    history: list[Move]


def aliases(storage: Storage, name: str) -> dict[str, str]:
    """Each alias and the version it points at."""
    names = _alias_names(storage, checked(name, "a model name"))
    stored = ((alias, _read_alias(storage, name, alias)) for alias in names)
    return {alias: versioned[0].version for alias, versioned in stored if versioned is not None}


def resolve(storage: Storage, reference: Reference) -> str:
    """The version that the reference points at now. Raises UnknownModel, which suggests existing ones."""
    name, selector = reference.name, reference.selector
    if VERSION.fullmatch(selector):
        if storage.read_versioned(f"{home(name, selector)}/{MANIFEST}") is not None:
            return selector
    elif (versioned := _read_alias(storage, name, selector)) is not None:
        return versioned[0].version
    raise UnknownModel(what_exists(storage, reference))


def promote(
    storage: Storage, name: str, version: str, alias: str = DEFAULT_ALIAS, *, expected: Expected = ANYWHERE
) -> Alias:
    """Points the alias at the version. If it already does, nothing is written.

    Raises:
        AliasMoved: it no longer points at `expected`.
    """
    resolve(storage, exact(name, version))
    current = _read_alias(storage, name, checked(alias, "an alias"))
    if current is not None and current[0].version == version:
        return current[0]
    _refuse_moved(Reference(name, alias), current, expected)
    return _move(storage, name, alias, current, version, "promote")


def rollback(storage: Storage, name: str, alias: str = DEFAULT_ALIAS, *, expected: Expected = ANYWHERE) -> Alias:
    """Undoes the last promotion that was not rolled back yet.

    Two people who roll back the same version go back two, unless both pass it as `expected`.

    Raises:
        AliasMoved: it no longer points at `expected`.
    """
    current = _read_alias(storage, checked(name, "a model name"), checked(alias, "an alias"))
    if current is None:
        raise UnknownModel(what_exists(storage, Reference(name, alias)))
    _refuse_moved(Reference(name, alias), current, expected)
    promoted: list[str] = []
    for move in current[0].history:
        if move.action == "promote":
            promoted.append(move.version)
        else:
            promoted = promoted[:-1]
    if len(promoted) < 2:
        raise UserError(f"{name}@{alias} has nothing to go back to: {current[0].version} was its first version")
    resolve(storage, Reference(name, promoted[-2]))
    return _move(storage, name, alias, current, promoted[-2], "rollback")


def _alias_names(storage: Storage, name: str) -> list[str]:
    prefix = f"{ROOT}{name}/aliases/"
    stems = (key.removeprefix(prefix).removesuffix(".json") for key in storage.list(prefix))
    return [stem for stem in stems if NAME.fullmatch(stem)]


def _read_alias(storage: Storage, name: str, alias: str) -> tuple[Alias, str] | None:
    """The alias and its generation in the storage."""
    key = f"{ROOT}{name}/aliases/{alias}.json"
    versioned = storage.read_versioned(key)
    if versioned is None:
        return None
    content, generation = versioned
    try:
        return Alias.model_validate_json(content), generation
    except ValidationError as error:
        raise UserError(f"{key} is not an alias: {error.errors()[0]['msg']}") from None


def _refuse_moved(reference: Reference, current: tuple[Alias, str] | None, expected: Expected) -> None:
    version = None if current is None else current[0].version
    if expected is not ANYWHERE and version != expected:
        raise AliasMoved(
            f"{reference} was not moved: it now points at {version or 'nothing'}, not at {expected or 'nothing'} as "
            "expected; look again"
        )


def _move(
    storage: Storage,
    name: str,
    alias: str,
    current: tuple[Alias, str] | None,
    version: str,
    action: Literal["promote", "rollback"],
) -> Alias:
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    history = [] if current is None else current[0].history
    moved = Alias(version=version, updated=now, history=[*history, Move(version=version, time=now, action=action)])
    key = f"{ROOT}{name}/aliases/{alias}.json"
    try:
        storage.swap(key, moved.model_dump_json(indent=2).encode() + b"\n", current[1] if current else None)
    except Conflict as error:
        winner = _read_alias(storage, name, alias)
        now_at = f"moved meanwhile to {winner[0].version}" if winner else str(error)
        raise AliasMoved(f"{name}@{alias} was not moved to {version}: {now_at}; look again") from None
    return moved


def what_exists(storage: Storage, reference: Reference) -> str:
    """Why a reference is unknown: the wrong part, and the most similar existing name."""
    name, selector = reference.name, reference.selector
    versions = [version for version in reversed(storage.folders(f"{ROOT}{name}/")) if VERSION.fullmatch(version)]
    if not versions:
        others = [other for other in storage.folders(ROOT) if NAME.fullmatch(other) and other != name]
        return f"there is no model {name!r}; {suggestion(name, others, most=_MOST_LISTED)}"
    if VERSION.fullmatch(selector):
        others = [version for version in versions if version != selector]
        return f"model {name!r} has no version {selector!r}; {suggestion(selector, others, most=_MOST_LISTED)}"
    others = _alias_names(storage, name)
    return f"model {name!r} has no alias {selector!r}; {suggestion(selector, others, most=_MOST_LISTED)}"
