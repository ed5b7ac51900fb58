"""Published bundles and the aliases that point at them, in any storage.

models/<name>/<version>/...           immutable; the version exists once its bundle.json does
models/<name>/aliases/<alias>.json    moved by compare-and-swap, with its history
"""

from boatyard.registry.alias import (
    ANYWHERE,
    Alias,
    AliasMoved,
    Expected,
    Move,
    aliases,
    promote,
    resolve,
    rollback,
)
from boatyard.registry.reference import DEFAULT_ALIAS, REFERENCE, ROOT, Reference, UnknownModel, parse_reference
from boatyard.registry.version import fetch, names, publish, published, read_file, read_manifest, versions

__all__ = [
    "ANYWHERE",
    "DEFAULT_ALIAS",
    "REFERENCE",
    "ROOT",
    "Alias",
    "AliasMoved",
    "Expected",
    "Move",
    "Reference",
    "UnknownModel",
    "aliases",
    "fetch",
    "names",
    "parse_reference",
    "promote",
    "publish",
    "published",
    "read_file",
    "read_manifest",
    "resolve",
    "rollback",
    "versions",
]
