"""Versions: published once, then listed, fetched and read, with every file verified against the manifest."""

import hashlib
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from boatyard.bundle.manifest import MANIFEST, NAME, VERSION, Bundle, BundleError, Manifest, open_bundle, parse_manifest
from boatyard.config.errors import UserError
from boatyard.registry.alias import resolve, what_exists
from boatyard.registry.reference import ROOT, Reference, UnknownModel, checked, home
from boatyard.storage import AlreadyExists, NotFound, Storage


def publish(storage: Storage, folder: Path) -> Manifest:
    """Copies a sealed bundle into the registry. Publishing the same bundle again changes nothing."""
    manifest = open_bundle(folder).manifest
    prefix = home(manifest.name, manifest.version)
    content = (folder / MANIFEST).read_bytes()
    if _is_published(storage, prefix, content):
        return manifest
    storage.upload(folder, prefix, manifest.files)
    try:
        storage.write_once(f"{prefix}/{MANIFEST}", content)
    except AlreadyExists:  # another publisher was faster
        _is_published(storage, prefix, content)
    return manifest


def published(storage: Storage) -> list[Reference]:
    """All versions of all models, newest first."""
    references = [Reference(name, version) for name, version in _published(storage, ROOT)]
    return sorted(references, key=lambda reference: reference.selector, reverse=True)


def names(storage: Storage) -> list[str]:
    """The models that have a published version."""
    return sorted({name for name, _ in _published(storage, ROOT)})


def versions(storage: Storage, name: str) -> list[str]:
    """Newest first; empty for an unknown name."""
    prefix = f"{ROOT}{checked(name, 'a model name')}/"
    return sorted((version for _, version in _published(storage, prefix)), reverse=True)


def fetch(
    storage: Storage,
    reference: Reference,
    cache: Path,
    needed: Callable[[Manifest], Collection[str]] | None = None,
) -> Bundle:
    """The bundle that the reference points at, copied to this machine and verified: all files, or those `needed`."""
    version = resolve(storage, reference)
    prefix = home(reference.name, version)
    files = None if needed is None else needed(read_manifest(storage, reference.name, version))
    bundle = open_bundle(storage.fetch(prefix, cache, None if files is None else [MANIFEST, *files]), files)
    if (bundle.manifest.name, bundle.manifest.version) != (reference.name, version):
        raise BundleError(
            f"{bundle.folder} holds {bundle.manifest.name}@{bundle.manifest.version}, "
            f"not {reference.name}@{version}: it was not stored by `publish`"
        )
    return bundle


def read_manifest(storage: Storage, name: str, version: str) -> Manifest:
    """The manifest of a version, without reading its other files. Raises UnknownModel or BundleError."""
    key = f"{home(name, version)}/{MANIFEST}"
    versioned = storage.read_versioned(key)
    if versioned is None:
        raise UnknownModel(what_exists(storage, Reference(name, version)))
    return parse_manifest(versioned[0], key)


def read_file(storage: Storage, name: str, version: str, file: str) -> bytes:
    """One verified file of the version's bundle. Raises NotFound if the bundle does not have it."""
    entry = read_manifest(storage, name, version).files.get(file)
    if entry is None:
        raise NotFound(f"{name}@{version} was published without {file}")
    content = storage.read(f"{home(name, version)}/{file}")
    if hashlib.sha256(content).hexdigest() != entry.sha256:
        raise BundleError(f"the bundle {name}@{version} was changed: {file} differs from its checksum")
    return content


def _published(storage: Storage, prefix: str) -> Iterator[tuple[str, str]]:
    for key in storage.list(prefix):
        parts = key.removeprefix(ROOT).split("/")
        if len(parts) == 3 and parts[2] == MANIFEST:
            name, version, _ = parts
            if NAME.fullmatch(name) and VERSION.fullmatch(version):
                yield name, version


def _is_published(storage: Storage, prefix: str, content: bytes) -> bool:
    """Whether this manifest is published there. Raises UserError: another one is."""
    versioned = storage.read_versioned(f"{prefix}/{MANIFEST}")
    if versioned is None:
        return False
    if versioned[0] != content:
        raise UserError(f"{prefix} is already published with another {MANIFEST}: seal the bundle again")
    return True
