"""Published bundles and the aliases that point at them, on any storage.

models/<name>/<version>/...           immutable; the version exists once its bundle.json does
models/<name>/aliases/<alias>.json    moved by compare-and-swap, with its history
"""

import argparse
import hashlib
import json
import os
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from enum import Enum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from boatyard.bundle import MANIFEST, NAME, VERSION, Bundle, BundleError, Manifest, open_bundle, parse_manifest
from boatyard.console import refuse, say
from boatyard.errors import UserError
from boatyard.storage import AlreadyExists, Conflict, NotFound, Storage, open_storage

ROOT = "models/"
DEFAULT_ALIAS = "production"
REFERENCE = f"{NAME.pattern}(@({VERSION.pattern}|{NAME.pattern}))?"


class UnknownModel(UserError):  # noqa: N818 - says what happened
    """No such name, alias or version is published."""


class AliasMoved(UserError):  # noqa: N818 - says what happened
    """The alias no longer points where whoever decided to move it saw it point."""


class _Anywhere(Enum):
    ANYWHERE = "anywhere"


ANYWHERE = _Anywhere.ANYWHERE
"""Wherever the alias points, it is to move."""

Expected = str | None | _Anywhere
"""The version that a decision to move an alias was made on; None: there was no such alias."""


@dataclass(frozen=True)
class Reference:
    """A name, and which of its versions: an alias, or a version itself. The two never look alike."""

    name: str
    selector: str = DEFAULT_ALIAS

    def __post_init__(self) -> None:
        _checked(self.name, "a model name")
        if not VERSION.fullmatch(self.selector):
            _checked(self.selector, "an alias or version")

    def __str__(self) -> str:
        return f"{self.name}@{self.selector}"


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


def parse_reference(text: str) -> Reference:
    """`inbox`, `inbox@staging` or `inbox@20260102T030405Z-0a1b2c3d`."""
    name, at, selector = text.partition("@")
    return Reference(name, selector) if at else Reference(name)


def publish(storage: Storage, folder: Path) -> Manifest:
    """Copies a sealed bundle into the registry. Publishing the same bundle again changes nothing."""
    manifest = open_bundle(folder).manifest
    home = _home(manifest.name, manifest.version)
    described = (folder / MANIFEST).read_bytes()
    if _same_is_published(storage, home, described):
        return manifest
    storage.upload(folder, home, manifest.files)
    try:
        storage.write_once(f"{home}/{MANIFEST}", described)
    except AlreadyExists:  # another publisher was faster
        _same_is_published(storage, home, described)
    return manifest


def published(storage: Storage) -> list[Reference]:
    """Every version of every model, the newest first."""
    references = [Reference(name, version) for name, version in _published(storage, ROOT)]
    return sorted(references, key=lambda each: each.selector, reverse=True)


def names(storage: Storage) -> list[str]:
    """The models that have a version."""
    return sorted({name for name, _ in _published(storage, ROOT)})


def versions(storage: Storage, name: str) -> list[str]:
    """Newest first; empty for an unknown name."""
    prefix = f"{ROOT}{_checked(name, 'a model name')}/"
    return sorted((version for _, version in _published(storage, prefix)), reverse=True)


def aliases(storage: Storage, name: str) -> dict[str, str]:
    """Each alias and the version it points at."""
    stems = _alias_names(storage, _checked(name, "a model name"))
    found = ((stem, _read_alias(storage, name, stem)) for stem in stems)
    return {stem: read[0].version for stem, read in found if read is not None}


def resolve(storage: Storage, reference: Reference) -> str:
    """The version that the reference means now; UnknownModel, with what there is instead, if none."""
    name, selector = reference.name, reference.selector
    if VERSION.fullmatch(selector):
        if storage.read_versioned(f"{_home(name, selector)}/{MANIFEST}") is not None:
            return selector
    elif (read := _read_alias(storage, name, selector)) is not None:
        return read[0].version
    raise UnknownModel(_what_exists(storage, reference))


def promote(
    storage: Storage, name: str, version: str, alias: str = DEFAULT_ALIAS, *, expected: Expected = ANYWHERE
) -> Alias:
    """Points the alias at the version. Where it already points there, nothing is written.

    Raises:
        AliasMoved: it does not point at `expected` any more.
    """
    resolve(storage, _exact(name, version))
    read = _read_alias(storage, name, _checked(alias, "an alias"))
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
    read = _read_alias(storage, _checked(name, "a model name"), _checked(alias, "an alias"))
    if read is None:
        raise UnknownModel(_what_exists(storage, Reference(name, alias)))
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


def fetch(
    storage: Storage,
    reference: Reference,
    cache: Path,
    needed: Callable[[Manifest], Collection[str]] | None = None,
) -> Bundle:
    """The bundle that the reference means, on this machine and verified: all of it, or the files that are `needed`."""
    version = resolve(storage, reference)
    home = _home(reference.name, version)
    files = None if needed is None else needed(read_manifest(storage, reference.name, version))
    bundle = open_bundle(storage.fetch(home, cache, None if files is None else [MANIFEST, *files]), files)
    if (bundle.manifest.name, bundle.manifest.version) != (reference.name, version):
        raise BundleError(
            f"{bundle.folder} holds {bundle.manifest.name}@{bundle.manifest.version}, "
            f"not {reference.name}@{version}: it was not put there by `publish`"
        )
    return bundle


def read_manifest(storage: Storage, name: str, version: str) -> Manifest:
    """What the version's bundle says of itself; nothing else of it is read. Raises UnknownModel or BundleError."""
    key = f"{_home(name, version)}/{MANIFEST}"
    found = storage.read_versioned(key)
    if found is None:
        raise UnknownModel(_what_exists(storage, Reference(name, version)))
    return parse_manifest(found[0], key)


def read_file(storage: Storage, name: str, version: str, file: str) -> bytes:
    """One file of the version's bundle, verified, for what need not fetch all. Raises NotFound where it has none."""
    entry = read_manifest(storage, name, version).files.get(file)
    if entry is None:
        raise NotFound(f"{name}@{version} was published without {file}")
    content = storage.read(f"{_home(name, version)}/{file}")
    if hashlib.sha256(content).hexdigest() != entry.sha256:
        raise BundleError(f"the bundle {name}@{version} was changed: {file} differs from its checksum")
    return content


def _checked(name: str, what: str) -> str:
    if not NAME.fullmatch(name):
        raise UserError(f"{name[:80]!r} is not {what}: up to 64 of a-z, 0-9, '-' and '_', the first a letter or digit")
    return name


def _exact(name: str, version: str) -> Reference:
    if not VERSION.fullmatch(version):
        raise UserError(f"{version!r} is not a version: it reads like 20260102T030405Z-0a1b2c3d")
    return Reference(name, version)


def _home(name: str, version: str) -> str:
    return f"{ROOT}{_checked(name, 'a model name')}/{version}"


def _published(storage: Storage, prefix: str) -> Iterator[tuple[str, str]]:
    for key in storage.list(prefix):
        parts = key.removeprefix(ROOT).split("/")
        if len(parts) == 3 and parts[2] == MANIFEST:
            name, version, _ = parts
            if NAME.fullmatch(name) and VERSION.fullmatch(version):
                yield name, version


def _same_is_published(storage: Storage, home: str, described: bytes) -> bool:
    found = storage.read_versioned(f"{home}/{MANIFEST}")
    if found is None:
        return False
    if found[0] != described:
        raise UserError(f"{home} is already published with another {MANIFEST}: seal the bundle again")
    return True


def _alias_names(storage: Storage, name: str) -> list[str]:
    prefix = f"{ROOT}{name}/aliases/"
    stems = (key.removeprefix(prefix).removesuffix(".json") for key in storage.list(prefix))
    return [stem for stem in stems if NAME.fullmatch(stem)]


def _read_alias(storage: Storage, name: str, alias: str) -> tuple[Alias, str] | None:
    key = f"{ROOT}{name}/aliases/{alias}.json"
    found = storage.read_versioned(key)
    if found is None:
        return None
    try:
        return Alias.model_validate_json(found[0]), found[1]
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


def _what_exists(storage: Storage, reference: Reference) -> str:
    """Why a reference is unknown: the wrong part, and what lies nearest to it.

    Anybody may ask for what is not there, so nothing here lists all that is.
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


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m boatyard.registry models | promote NAME VERSION | rollback NAME`, on BOATYARD_STORAGE."""
    parser = argparse.ArgumentParser(prog="python -m boatyard.registry")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("models", help="what is published, and what each alias points at")
    moving = {
        "promote": commands.add_parser("promote", help="point an alias at a version"),
        "rollback": commands.add_parser("rollback", help="point an alias at what it pointed at before"),
    }
    for command in moving.values():
        command.add_argument("name")
        command.add_argument("--alias", default=DEFAULT_ALIAS)
        command.add_argument(
            "--expected", metavar="VERSION", default=ANYWHERE, help="move it only from there; 'none': only a new alias"
        )
    moving["promote"].add_argument("version")
    given = parser.parse_args(arguments)
    try:
        storage = open_storage(os.environ.get("BOATYARD_STORAGE") or ".")
        if given.command == "models":
            lines = list(_listing(storage)) or ["nothing is published yet: `invoke pipeline` does it"]
        else:
            if given.command == "promote":
                _try(storage, given.name, given.version)
            expected = None if given.expected == "none" else given.expected
            moved = (
                promote(storage, given.name, given.version, given.alias, expected=expected)
                if given.command == "promote"
                else rollback(storage, given.name, given.alias, expected=expected)
            )
            lines = [f"{given.name}@{given.alias} is {moved.version}"]
    except (OSError, UserError) as wrong:
        return refuse(given.command, wrong)
    say("\n".join(lines))
    return 0


def _try(storage: Storage, name: str, version: str) -> None:
    """Raises UserError: there is no such version, or no server could answer with it."""
    from boatyard.predict import open_predictor  # a second, which nothing else here needs

    with TemporaryDirectory() as cache:
        open_predictor(fetch(storage, _exact(name, version), Path(cache)))


def _listing(storage: Storage) -> Iterator[str]:
    for name in names(storage):
        pointed = aliases(storage, name)
        yield name
        for version in versions(storage, name):
            content = json.loads(storage.read(f"{_home(name, version)}/{MANIFEST}"))
            accuracy = content.get("metrics", {}).get("served", {}).get("accuracy")
            shown = "" if accuracy is None else f"accuracy {accuracy:.4f}"
            here = ", ".join(f"@{alias}" for alias, at in pointed.items() if at == version)
            yield f"  {version}  {shown:15}  {here}".rstrip()


if __name__ == "__main__":
    sys.exit(main())
