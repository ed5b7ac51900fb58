"""What every file of a folder must be, to the byte, and what has become of it."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from boatyard.storage import LocalStorage
from boatyard.storage.fingerprint import file_digest


class FileEntry(BaseModel):
    """What a file must be, to the byte."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size: int = Field(ge=0)


def describe(folder: Path, manifest: str) -> dict[str, FileEntry]:
    """An entry for each file but the manifest, which will hold them."""
    return {name: _entry(folder / name) for name in LocalStorage(folder).list() if name != manifest}


def difference(folder: Path, manifest: str, expected: Mapping[str, FileEntry]) -> str | None:
    """How the folder is torn or changed, as the end of a sentence; None where it is what it must be."""
    present = {name for name in LocalStorage(folder).list() if name != manifest}
    if missing := sorted(expected.keys() - present):
        return f"is torn: {', '.join(missing)} is missing"
    if extra := sorted(present - expected.keys()):
        return f"was changed: {', '.join(extra)} does not belong to it"
    return damage(folder, expected)


def damage(folder: Path, expected: Mapping[str, FileEntry]) -> str | None:
    """The same of these files alone, whatever else lies in the folder."""
    for name, entry in expected.items():
        if not (folder / name).is_file():
            return f"is torn: {name} is missing"
        size = (folder / name).stat().st_size
        if size != entry.size:
            return f"is torn: {name} has {size} bytes, not {entry.size}"
        if _entry(folder / name) != entry:
            return f"was changed: {name} differs from its checksum"
    return None


def _entry(path: Path) -> FileEntry:
    return FileEntry(sha256=file_digest(path), size=path.stat().st_size)
