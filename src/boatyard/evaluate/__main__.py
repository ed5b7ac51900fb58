"""python -m boatyard.evaluate: score what was trained."""

import sys

from boatyard.config.cli import run
from boatyard.config.schema import Config


def main(config: Config) -> None:
    """Score the network that the same overrides trained."""
    from boatyard.data.encode import encode
    from boatyard.data.prepare import prepare
    from boatyard.evaluate.run import evaluate
    from boatyard.storage.outputs import keep_output, restore_outputs
    from boatyard.train.trained import open_trained

    restore_outputs(config)
    prepared = prepare(config)
    encoded = encode(config, prepared)
    evaluation = evaluate(config, prepared, encoded, open_trained(config, encoded))
    scores, baseline = evaluation.scores, evaluation.baseline.primary
    figures = {**scores.by_name(), f"baseline_{baseline.name}": baseline.value}
    if (alternative := evaluation.alternative) is not None:
        figures[f"{evaluation.metrics['alternative']['name'].lower()}_{baseline.name}"] = alternative.primary.value
    keep_output(config, "evaluation", evaluation.folder, figures, plots=sorted(evaluation.folder.glob("*.png")))


if __name__ == "__main__":
    purpose = "Score the trained network on the test split, beside a simple baseline."
    sys.exit(run("evaluate", purpose, main, writes=("processed", "runs", "reports", "outputs")))
