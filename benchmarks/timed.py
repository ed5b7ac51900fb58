"""A pipeline in this process, up to the bundle, and what it took."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from boatyard.bundle.manifest import Bundle
from boatyard.config.compose import load_config
from boatyard.config.schema import Config
from boatyard.data.encode import encode
from boatyard.data.prepare import Prepared, prepare
from boatyard.evaluate.run import Evaluation, evaluate
from boatyard.export.run import export
from boatyard.train.fit import train


@dataclass(frozen=True)
class Made:
    """`took`: seconds, of the clock (`s`) and of the processor (`cpu_s`, and of these `training_cpu_s`)."""

    config: Config
    prepared: Prepared
    evaluation: Evaluation
    bundle: Bundle
    took: dict[str, float]


def make(options: Sequence[str], folder: Path) -> Made:
    """By the options, with all that is written in the folder."""
    places = [f"paths.{place}={folder / place}" for place in ("processed", "runs", "reports", "storage")]
    config = load_config([*options, "tracking=none", *places])
    started, worked = time.perf_counter(), time.process_time()
    prepared = prepare(config)
    encoded = encode(config, prepared)
    began = time.process_time()
    trained = train(config, prepared, encoded)
    training = time.process_time() - began
    evaluation = evaluate(config, prepared, encoded, trained)
    bundle = export(config, prepared, trained, evaluation)
    took = {"training_cpu_s": training, "cpu_s": time.process_time() - worked, "s": time.perf_counter() - started}
    return Made(config, prepared, evaluation, bundle, took)
