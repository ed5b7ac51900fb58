"""What makes one run of a stage different from another: its settings, its inputs and its code."""

import hashlib
import importlib.util
import json
from functools import cache
from pathlib import Path


def fingerprint(settings: object, *, code: tuple[str, ...]) -> str:
    """16 hex digits over JSON-able settings and the source of the named modules and packages.

    The code is counted in, so that after an edit a stage runs again instead of showing yesterday's result; of a package
    its own modules are, and no package below it.
    """
    parts = [json.dumps(settings, sort_keys=True), *(_source_digest(module) for module in code)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@cache
def _source_digest(module: str) -> str:
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(module)
    origin = Path(spec.origin)
    files = sorted(origin.parent.glob("*.py")) if origin.name == "__init__.py" else [origin]
    return hashlib.sha256("".join(file_digest(file) for file in files).encode()).hexdigest()
