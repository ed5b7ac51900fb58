"""python -m boatyard.export: make the bundle."""

import sys

from boatyard.config.cli import run
from boatyard.config.schema import Config


def main(config: Config) -> None:
    """Make a bundle of the network that the same overrides trained."""
    from boatyard.data.encode import encode
    from boatyard.data.prepare import prepare
    from boatyard.evaluate.run import evaluate
    from boatyard.export.given import require_given_rows
    from boatyard.export.run import export
    from boatyard.storage.outputs import keep_output, restore_outputs
    from boatyard.tasks.score import Scores
    from boatyard.train.trained import open_trained

    restore_outputs(config)
    prepared = prepare(config)
    require_given_rows(config, prepared)
    encoded = encode(config, prepared)
    trained = open_trained(config, encoded)
    bundle = export(config, prepared, trained, evaluate(config, prepared, encoded, trained))
    metrics = bundle.manifest.metrics
    served = Scores(metrics.rows, metrics.served, {}).by_name()
    figures = {"served": served, "precision": metrics.precision, "graph_bytes": metrics.graph_bytes}
    keep_output(config, "bundle", bundle.folder, figures)


if __name__ == "__main__":
    purpose = "Turn the trained network into a bundle: ONNX, int8 where it is as good, model card."
    sys.exit(run("export", purpose, main, writes=("processed", "runs", "reports", "outputs")))
