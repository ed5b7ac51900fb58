"""Aliases: which version each means, and moving them by compare-and-swap."""

from datetime import UTC, datetime
from difflib import get_close_matches
from enum import Enum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from boatyard.bundle.manifest import MANIFEST, NAME, VERSION
from boatyard.config.errors import UserError
from boatyard.registry.reference import DEFAULT_ALIAS, ROOT, Reference, UnknownModel, checked, exact, home
from boatyard.storage import Conflict, Storage


class AliasMoved(UserError):  # noqa: N818 - says what happened
    """The alias no longer points where whoever decided to move it saw it point."""


class _Anywhere(Enum):
    ANYWHERE = "anywhere"


ANYWHERE = _Anywhere.ANYWHERE
"""The alias is to move wherever it points."""

Expected = str | None | _Anywhere
"""The version that a decision to move an alias was made on; None: there was no such alias."""


class Move(BaseModel):
    """One step in an alias's history."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str = Field(pattern=f"^{VERSION.pattern}$")
    time: str
    action: Literal["promote", "rollback"]


class Alias(BaseModel):
    """Where an alias points, and every move that brought it there."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str = Field(pattern=f"^{VERSION.pattern}$")
    updated: str
    history: list[Move]


def aliases(storage: Storage, name: str) -> dict[str, str]:
    """Each alias and the version it points at."""
    stems = _alias_names(storage, checked(name, "a model name"))
    each = ((stem, _read_alias(storage, name, stem)) for stem in stems)
    return {stem: read[0].version for stem, read in each if read is not None}


def resolve(storage: Storage, reference: Reference) -> str:
    """The version that the reference means now; UnknownModel, with what there is instead, if none."""
    name, selector = reference.name, reference.selector
    if VERSION.fullmatch(selector):
        if storage.read_versioned(f"{home(name, selector)}/{MANIFEST}") is not None:
            return selector
    elif (read := _read_alias(storage, name, selector)) is not None:
        return read[0].version
    raise UnknownModel(what_exists(storage, reference))


def promote(
    storage: Storage, name: str, version: str, alias: str = DEFAULT_ALIAS, *, expected: Expected = ANYWHERE
) -> Alias:
    """Points the alias at the version. Where it already points there, nothing is written.

    Raises:
        AliasMoved: it does not point at `expected` any more.
    """
    resolve(storage, exact(name, version))
    read = _read_alias(storage, name, checked(alias, "an alias"))
    if read is not None and read[0].version == version:
        return read[0]
    _refuse_moved(Reference(name, alias), read, expected)
    return _move(storage, name, alias, read, version, "promote")


def rollback(storage: Storage, name: str, alias: str = DEFAULT_ALIAS, *, expected: Expected = ANYWHERE) -> Alias:
    """Points the alias at what it pointed at before its last promotion that still stands.

    Two people who roll back the same version go back two, unless both name it as `expected`.

    Raises:
        AliasMoved: it does not point at `expected` any more.
    """
    read = _read_alias(storage, checked(name, "a model name"), checked(alias, "an alias"))
    if read is None:
        raise UnknownModel(what_exists(storage, Reference(name, alias)))
    _refuse_moved(Reference(name, alias), read, expected)
    standing: list[str] = []
    for move in read[0].history:
        if move.action == "promote":
            standing.append(move.version)
        else:
            standing = standing[:-1]
    if len(standing) < 2:
        raise UserError(f"{name}@{alias} has nothing to go back to: {read[0].version} was its first version")
    resolve(storage, Reference(name, standing[-2]))
    return _move(storage, name, alias, read, standing[-2], "rollback")


def _alias_names(storage: Storage, name: str) -> list[str]:
    prefix = f"{ROOT}{name}/aliases/"
    stems = (key.removeprefix(prefix).removesuffix(".json") for key in storage.list(prefix))
    return [stem for stem in stems if NAME.fullmatch(stem)]


def _read_alias(storage: Storage, name: str, alias: str) -> tuple[Alias, str] | None:
    key = f"{ROOT}{name}/aliases/{alias}.json"
    stored = storage.read_versioned(key)
    if stored is None:
        return None
    content, generation = stored
    try:
        return Alias.model_validate_json(content), generation
    except ValidationError as wrong:
        raise UserError(f"{key} is not an alias: {wrong.errors()[0]['msg']}") from None


def _refuse_moved(reference: Reference, read: tuple[Alias, str] | None, expected: Expected) -> None:
    now = None if read is None else read[0].version
    if expected is not ANYWHERE and now != expected:
        raise AliasMoved(
            f"{reference} was not moved: it points at {now or 'nothing'} now, and not at {expected or 'nothing'} "
            "as when that was decided; look again"
        )


def _move(
    storage: Storage,
    name: str,
    alias: str,
    read: tuple[Alias, str] | None,
    version: str,
    action: Literal["promote", "rollback"],
) -> Alias:
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    history = [] if read is None else read[0].history
    moved = Alias(version=version, updated=now, history=[*history, Move(version=version, time=now, action=action)])
    key = f"{ROOT}{name}/aliases/{alias}.json"
    try:
        storage.swap(key, moved.model_dump_json(indent=2).encode() + b"\n", read[1] if read else None)
    except Conflict as lost:
        winner = _read_alias(storage, name, alias)
        now_at = f"moved meanwhile to {winner[0].version}" if winner else str(lost)
        raise AliasMoved(f"{name}@{alias} was not moved to {version}: {now_at}; look again") from None
    return moved


def what_exists(storage: Storage, reference: Reference) -> str:
    """Why a reference is unknown: the wrong part, and what lies nearest to it.

    Anybody may ask for a model that does not exist, so the answer never lists all that do.
    """
    name, selector = reference.name, reference.selector
    there = [version for version in reversed(storage.folders(f"{ROOT}{name}/")) if VERSION.fullmatch(version)]
    if not there:
        others = [other for other in storage.folders(ROOT) if NAME.fullmatch(other) and other != name]
        return f"there is no model {name!r}: {_nearest(name, others, 'published')}"
    if VERSION.fullmatch(selector):
        others = [version for version in there if version != selector]
        return f"model {name!r} has no version {selector!r}: {_nearest(selector, others, 'published')}"
    return f"model {name!r} has no alias {selector!r}: {_nearest(selector, _alias_names(storage, name), 'set')}"


def _nearest(wanted: str, existing: list[str], done: str) -> str:
    if not existing:
        return f"none is {done} yet"
    close = get_close_matches(wanted, existing, n=3) or existing[:3]
    return f"{done} {'is' if len(existing) == 1 else 'are'} {', '.join(close)}" + (
        "" if len(existing) <= len(close) else f" and {len(existing) - len(close)} more"
    )
