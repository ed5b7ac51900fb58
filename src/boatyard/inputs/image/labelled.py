"""A folder for each label, as roses/001.jpg; perhaps within folders for the splits, as train/roses/001.jpg."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from boatyard.inputs.image.layout import Annotated, Layout, annotated_source, pictures_in, surplus
from boatyard.inputs.sources import SPLIT_NAMES
from boatyard.inputs.texts import normal_form
from boatyard.inputs.training_protocol import Source


def layout(path: Path, data: Any, columns: Sequence[str]) -> Layout | None:  # noqa: ARG001 - every layout's signature
    """None where no folder in `path` has pictures."""
    if not path.is_dir():
        return None
    folders = sorted(folder for folder in path.iterdir() if folder.is_dir() and not folder.name.startswith("."))
    splits = [folder for folder in folders if folder.name.lower() in SPLIT_NAMES]
    if splits and len(splits) == len(folders):
        sources = [_source(folder, SPLIT_NAMES[folder.name.lower()], data.target) for folder in splits]
    else:
        sources = [_source(path, None, data.target)]
    said_of = [file for files, _ in sources for file in files]
    return Layout([source for _, source in sources], surplus(path, pictures_in(path), said_of)) if said_of else None


def _source(root: Path, split: str | None, target: str) -> tuple[list[Path], Source]:
    by_label = {folder.name: pictures_in(folder) for folder in sorted(root.iterdir()) if folder.is_dir()}
    files = [file for of_label in by_label.values() for file in of_label]

    def read() -> Iterator[Annotated]:
        for label, of_label in by_label.items():
            yield from (Annotated(file, label) for file in of_label)

    return files, annotated_source(root.name, split, files, read, root, normal_form(target))
