"""Copies each stage's output to a stable path, for DVC to track and share.

Stages look for their inputs in folders named by fingerprint, which are local; a fresh clone restores them from these
copies.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from boatyard.config.processes import is_main
from boatyard.config.schema import Config
from boatyard.storage import write_atomically
from boatyard.storage.folders import recovered, replacing

Output = Literal["rows", "inputs", "network", "evaluation", "bundle"]
# the key of `paths` below which the stage writes it; inputs are inside their rows' folder, so they come after it
_ROOTS: dict[Output, str] = {
    "rows": "processed",
    "inputs": "processed",
    "network": "runs",
    "evaluation": "runs",
    "bundle": "runs",
}


def keep_output(
    config: Config,
    output: Output,
    folder: Path,
    metrics: Mapping[str, Any] | None = None,
    plots: Sequence[Path] = (),
) -> None:
    """Copy the folder and its original path to `paths.outputs`, if that is set, and the metrics to a file beside it.

    `plots`: files of the folder that DVC is to show; they lie by themselves once more, whatever the task draws.
    """
    if config.paths.outputs is None or not is_main():
        return
    copy = Path(config.paths.outputs, output)
    with replacing(copy) as staging:
        shutil.copytree(folder, staging / "content", ignore=shutil.ignore_patterns(".*", "inputs-*"))
        for plot in plots:
            (staging / "plots").mkdir(exist_ok=True)
            shutil.copy2(plot, staging / "plots")
        place = folder.relative_to(_root(config, output)).as_posix()
        (staging / "place").write_text(f"{place}\n", encoding="utf-8")
    if metrics is not None:
        write_atomically(copy.with_suffix(".json"), json.dumps(metrics, indent=2).encode() + b"\n")


def restore_outputs(config: Config) -> None:
    """Copy the outputs back to their folders by fingerprint, where those do not exist."""
    if config.paths.outputs is None or not is_main():
        return
    for output in _ROOTS:
        copy = recovered(Path(config.paths.outputs, output))
        if not (copy / "place").exists():
            continue
        folder = _root(config, output) / (copy / "place").read_text(encoding="utf-8").strip()
        if not folder.exists():
            with replacing(folder) as staging:
                shutil.copytree(copy / "content", staging, dirs_exist_ok=True)


def _root(config: Config, output: Output) -> Path:
    return Path(getattr(config.paths, _ROOTS[output]))
