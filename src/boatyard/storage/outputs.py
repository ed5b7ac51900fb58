"""What each stage made, besides under a name that stays: that is what DVC keeps and shares.

The folders by fingerprint, where every stage looks first, are this machine's own; a fresh clone gets them back from
here.
"""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from boatyard.config.processes import is_main
from boatyard.config.schema import Config
from boatyard.storage import write_atomically
from boatyard.storage.folders import replacing, standing

Made = Literal["rows", "inputs", "network", "evaluation", "bundle"]
# the key of `paths` under which it is made; inputs lie within their rows, and so come after them
_ROOTS: dict[Made, str] = {
    "rows": "processed",
    "inputs": "processed",
    "network": "runs",
    "evaluation": "runs",
    "bundle": "runs",
}


def keep(config: Config, made: Made, folder: Path, metrics: Mapping[str, Any] | None = None) -> None:
    """Copy the folder to `paths.outputs`, with its place, and its metrics to a file beside it; does nothing without."""
    if config.paths.outputs is None or not is_main():
        return
    kept = Path(config.paths.outputs, made)
    with replacing(kept) as staging:
        shutil.copytree(folder, staging / "content", ignore=shutil.ignore_patterns(".*", "inputs-*"))
        place = folder.relative_to(_root(config, made)).as_posix()
        (staging / "place").write_text(f"{place}\n", encoding="utf-8")
    if metrics is not None:
        write_atomically(kept.with_suffix(".json"), json.dumps(metrics, indent=2).encode() + b"\n")


def bring_back(config: Config) -> None:
    """Put what was kept to its place by fingerprint, unless it lies there."""
    if config.paths.outputs is None or not is_main():
        return
    for made in _ROOTS:
        kept = standing(Path(config.paths.outputs, made))
        if not (kept / "place").exists():
            continue
        folder = _root(config, made) / (kept / "place").read_text(encoding="utf-8").strip()
        if not folder.exists():
            with replacing(folder) as staging:
                shutil.copytree(kept / "content", staging, dirs_exist_ok=True)


def _root(config: Config, made: Made) -> Path:
    return Path(getattr(config.paths, _ROOTS[made]))
