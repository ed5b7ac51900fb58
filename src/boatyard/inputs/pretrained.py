"""Where a network starts from: an encoder that comes with Boatyard, a folder of the user's, or the Hub."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import boatyard
from boatyard.config.errors import UserError
from boatyard.config.schema import Model
from boatyard.storage.fingerprint import file_digest

_FILES = "config.json, model.safetensors and tokenizer.json"
_SHIPPED = Path(boatyard.__file__).parents[2] / "encoders"  # of the repository: a server needs none of it installed
_Loaded = TypeVar("_Loaded")


def located(name: str) -> str:
    """The folder of a shipped encoder; any other name as it is."""
    shipped = _SHIPPED / name
    return str(shipped) if re.fullmatch(r"[\w-]+", name) and shipped.is_dir() else name


def is_bundle(name: str) -> bool:
    """Whether it is a published model, from which training may go on."""
    return (Path(name) / "bundle.json").exists()


def digest_of_start(model: Model) -> dict[str, str]:
    """SHA-256 by file of a local starting point; empty for one on the Hub."""
    if model.name is None:
        return {}
    files = Path(located(model.name)).glob("*.*")
    return {file.name: file_digest(file) for file in sorted(files) if file.suffix in {".json", ".safetensors"}}


def loaded(name: str, get: Callable[[], _Loaded], files: str = _FILES) -> _Loaded:
    """`get()`, with one sentence for the user when neither a folder nor the Hub has it: `files` are what it reads."""
    try:
        return get()
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"model.name={name}: cannot be loaded from a folder or the Hub ({reason}); without a connection, "
            f"give a local folder that holds {files}: model.name=FOLDER"
        ) from None
