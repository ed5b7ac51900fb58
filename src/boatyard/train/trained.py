"""The outcome of training, for the stages that read it without loading what trains."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from boatyard.config.errors import UserError
from boatyard.config.schema import Config
from boatyard.data.encode import Encoded
from boatyard.storage.fingerprint import code_of, fingerprint


@dataclass(frozen=True)
class Trained:
    """A fitted network. `folder` holds weights, shape and what encodes its inputs; `run` is the folder around it."""

    run: Path
    folder: Path
    metrics: dict[str, Any]


def open_trained(config: Config, encoded: Encoded) -> Trained:
    """The outcome of `train` for this configuration.

    Raises:
        UserError: it was not trained yet.
    """
    run = run_folder(config, encoded)
    facts = run / "network" / "training.json"
    if not facts.exists():
        raise UserError("nothing is trained for this configuration yet: run boatyard.train with the same overrides")
    return Trained(run, run / "network", json.loads(facts.read_text(encoding="utf-8")))


def run_folder(config: Config, encoded: Encoded) -> Path:
    """Where this configuration's run lies, whether it exists or not."""
    key = fingerprint(
        {
            "inputs": encoded.fingerprint,
            "model": config.model.model_dump(),
            "train": config.train.model_dump(exclude={"resume"}),
        },
        code=code_of("train", config.data.input, config.data.task),
    )
    return Path(config.paths.runs, config.data.name, key)
