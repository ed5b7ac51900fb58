"""The manifest: what a bundle's files are, what each one's checksum is, and what may be known of the model.

A bundle is a folder with a model's files and `bundle.json`: the one contract between training and serving.
"""

import hashlib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json

from boatyard.bundle import format_1
from boatyard.bundle.checksums import FileEntry, damage, describe, difference
from boatyard.config.errors import UserError
from boatyard.storage import check_key, write_atomically
from boatyard.tasks.score import Score

MANIFEST = "bundle.json"
FORMAT = 2
REFERENCE = "reference.parquet"
LEAST_REFERENCE_ROWS = 100
"""With fewer nothing is compared: they tell too little."""

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
VERSION = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}")


class BundleError(UserError):
    """The folder is no bundle that this version of Boatyard can trust."""


def _file_name(name: str) -> str:
    try:
        return check_key(name)
    except UserError as wrong:  # pydantic reports ValueErrors only
        raise ValueError(str(wrong)) from None


class Metrics(BaseModel):
    """What the model was accepted on; of each list of scores the first is the one that decides."""

    model_config = ConfigDict(frozen=True, extra="allow")

    split: str = ""
    rows: int = 0
    trained: list[Score] = []
    served: list[Score] = Field(default=[], description="By the graph that is served, which may be quantised.")
    baseline: list[Score] = []
    baseline_name: str = ""
    alternative: list[Score] = Field(
        default=[],
        description="Of another model of the same rows, such as the input names one; empty where it names none.",
    )
    alternative_name: str = ""
    precision: str = Field(default="n/a", description="Of the graph that is served.")
    graph_bytes: int = 0
    parity: dict[str, float] | None = Field(
        default=None, description="How an int8 graph compared with the exact one, where that was tried."
    )
    parameters: int = 0
    training_seconds: float = 0.0


class Card(BaseModel):
    """What anyone may know of a model: the manifest less its files and its training config."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = FORMAT
    name: str = Field(pattern=f"^{NAME.pattern}$")
    version: str = Field(pattern=f"^{VERSION.pattern}$")
    created: str
    input: str = Field(description="What a row is: a folder of `boatyard.inputs`.")
    task: str = Field(description="What is asked of it: a folder of `boatyard.tasks`.")
    target: dict[str, Any] = Field(description="The task's facts, such as its labels.")
    request_schema: dict[str, Any] = Field(description="JSON Schema of one request.")
    answer_schema: dict[str, Any] = Field(description="JSON Schema of the task's part of an answer.")
    truth_schema: dict[str, Any] = Field(description="JSON Schema of what feedback says, less its id.")
    limits: dict[str, int]
    git_commit: str | None
    data_fingerprint: str
    packages: dict[str, str]
    examples: list[dict[str, Any]] = Field(description="A few requests.")
    metrics: Metrics

    @property
    def accepted(self) -> Score | None:
        """The primary score of what is served; None where nothing was measured."""
        return self.metrics.served[0] if self.metrics.served else None


class Manifest(Card):
    """What `bundle.json` holds."""

    files: dict[Annotated[str, AfterValidator(_file_name)], FileEntry]
    config: dict[str, Any] = Field(description="The composed configuration that made the model.")


@dataclass(frozen=True)
class Bundle:
    """A folder that was opened, and so verified."""

    folder: Path
    manifest: Manifest


def seal(folder: Path, **fields: Any) -> Manifest:
    """Makes the folder a bundle. `fields` are the manifest's, less format, version, created and files."""
    now = datetime.now(UTC)
    files = describe(folder, MANIFEST)
    try:
        manifest = Manifest(
            version=f"{now:%Y%m%dT%H%M%SZ}-{_content_hash(files)}",
            created=now.isoformat(timespec="seconds").replace("+00:00", "Z"),
            files=files,
            **fields,
        )
    except ValidationError as wrong:
        raise BundleError(f"{folder} cannot be sealed: {_first(wrong)}") from None
    write_atomically(folder / MANIFEST, manifest.model_dump_json(indent=2).encode() + b"\n")
    return manifest


def open_bundle(folder: Path, files: Collection[str] | None = None) -> Bundle:
    """Verifies every file, or those of the `files`, before anything is loaded from one.

    Raises:
        BundleError: with the reason.
    """
    try:
        manifest = _read_manifest(folder)
        _verify(folder, manifest, files)
    except OSError as failed:
        raise BundleError(f"the bundle {folder} cannot be read: {failed}") from failed
    return Bundle(folder, manifest)


def _read_manifest(folder: Path) -> Manifest:
    if not folder.is_dir():
        raise BundleError(f"there is no bundle at {folder}")
    path = folder / MANIFEST
    if not path.is_file():
        raise BundleError(f"{folder} is not a bundle, or one that was never completed: it has no {MANIFEST}")
    return parse_manifest(path.read_bytes(), str(path))


def parse_manifest(written: bytes, path: str) -> Manifest:
    """What `bundle.json` says, of this format or the one before; raises BundleError, which names the `path`."""
    try:
        content = from_json(written)
    except ValueError as wrong:
        raise BundleError(f"{path} is torn: {wrong}") from None
    if not isinstance(content, dict) or type(content.get("format")) is not int:
        raise BundleError(f"{path} was not written by Boatyard: it states no bundle format")
    if content["format"] > FORMAT:
        raise BundleError(
            f"{path} is in bundle format {content['format']} and this version of Boatyard reads {FORMAT}: "
            "update Boatyard, or export the model again"
        )
    try:
        return Manifest.model_validate(format_1.upgraded(content) if content["format"] == 1 else content)
    except ValidationError as wrong:
        raise BundleError(f"{path} is not a Boatyard manifest: {_first(wrong)}") from None


def _verify(folder: Path, manifest: Manifest, files: Collection[str] | None) -> None:
    if files is None:
        wrong = difference(folder, MANIFEST, manifest.files)
    elif without := sorted(set(files) - manifest.files.keys()):
        wrong = f"was sealed without {', '.join(without)}"
    else:
        wrong = damage(folder, {name: manifest.files[name] for name in files})
    if wrong:
        raise BundleError(f"the bundle {folder} {wrong}")
    if not manifest.version.endswith(_content_hash(manifest.files)):
        raise BundleError(f"the bundle {folder} was changed: its files are not those of {manifest.version}")


def _content_hash(files: Mapping[str, FileEntry]) -> str:
    lines = (f"{files[name].sha256}  {name}\n" for name in sorted(files))
    return hashlib.sha256("".join(lines).encode()).hexdigest()[:8]


def _first(wrong: ValidationError) -> str:
    error = wrong.errors()[0]
    return f"{'.'.join(map(str, error['loc']))}: {error['msg']}"
