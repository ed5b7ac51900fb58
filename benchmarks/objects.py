"""What is found in pictures:  python benchmarks/objects.py [BCCD]

Runs the pipeline on the bundled harbour and, given the folder of BCCD (PASCAL VOC, not bundled), on its official split:
the detector as trained and as served, beside the baseline picture by picture, and what a picture costs. Writes
reports/benchmarks/objects.md and .json; `--only NAME` measures one and keeps the rest of the JSON.
"""

import argparse
import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from report import FOLDER, write_report
from timed import make

from boatyard import inputs, tasks
from boatyard.bundle.predict import Predictor
from boatyard.evaluate.markdown import table
from boatyard.inputs.arrays import EncodedArrays
from boatyard.tasks.detection.metrics import losses_of
from boatyard.tasks.score import paired_interval

OPTIONS = {
    "harbour": ["data=harbour"],
    "bccd": [
        "data=detect",
        "data.name=bccd",
        "data.on_bad_row=quarantine",  # two photos have a box without area
        "model.image.side=256",
        "model.image.width=24",
        "model.image.flips=turned",
        "model.image.zoom=1.3",
        "train.bf16=true",
        "train.max_steps=2000",
        "train.learning_rate=3.0e-3",
        "train.per_device_train_batch_size=8",
        "train.average=0.998",
    ],
}
"""Of the pipeline, by data set."""
GOALS = {
    "harbour": {"map50": 0.94, "map": 0.62, "ms": 3.0},
    "bccd": {"map50": 0.90, "map": 0.53, "ms": 5.0},
}
SMALL, NEAR = 900_000, 0.005
TIMES, ROUNDS = 30, 5


def measure(options: Sequence[str], folder: Path) -> dict[str, Any]:
    """One data set, from files to a bundle."""
    made = make(options, folder)
    config, prepared, evaluation, bundle = made.config, made.prepared, made.evaluation, made.bundle
    task, rows, targets = tasks.training(config.data.task), prepared.rows("test"), prepared.targets("test")
    simple = inputs.training(config.data.input).simple_features(prepared.data)
    learnt, known = prepared.rows("train"), prepared.targets("train")
    few = task.sample(known, np.random.default_rng(config.train.seed), len(known))
    baseline = task.fit_baseline(simple, [learnt[row] for row in few], known[few], prepared.target, config.train.seed)
    predictor = Predictor(bundle, threads=1)
    before = losses_of(baseline.outputs(rows), targets, prepared.target)
    after = losses_of(predictor.outputs(rows), targets, bundle.manifest.target)
    metrics = bundle.manifest.metrics
    decoded = [EncodedArrays(row.arrays, {}) for row in predictor.input.encode(rows[:TIMES])]
    return {
        "command": f"python -m boatyard.pipeline {' '.join(options)}",
        "rows": {split: len(prepared.rows(split)) for split in ("train", "validation", "test")},
        "trained": {score.name: asdict(score) for score in metrics.trained},
        "served": {score.name: asdict(score) for score in metrics.served},
        "baseline": {score.name: asdict(score) for score in metrics.baseline},
        "detail": evaluation.scores.detail,
        "threshold": bundle.manifest.target["threshold"],
        "f1_gained": paired_interval(before, after),
        "precision": metrics.precision,
        "graph_bytes": metrics.graph_bytes,
        "parameters": metrics.parameters,
        "encode_ms": milliseconds([lambda row=row: predictor.input.encode([row])[0].arrays for row in rows[:TIMES]]),
        "graph_ms": milliseconds([lambda row=row: predictor.run([row]) for row in decoded]),
        **made.took,
    }


def milliseconds(calls: Sequence[Callable[[], Any]]) -> float:
    """Of the processor for one call: the least mean of some rounds, as other programs run too."""
    means = []
    for _ in range(ROUNDS + 1):
        started = time.process_time()
        for call in calls:
            call()
        means.append((time.process_time() - started) / len(calls))
    return 1000 * min(means[1:])


def main() -> None:
    """Write reports/benchmarks/objects.md and objects.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bccd", nargs="?", type=Path, help="its folder; without it, harbour alone is measured")
    parser.add_argument("--only", choices=OPTIONS, help="the others are kept as they were measured")
    asked = parser.parse_args()
    sets = ["harbour", *(["bccd"] if asked.bccd else [])] if asked.only is None else [asked.only]
    written = FOLDER / "objects.json"
    facts: dict[str, Any] = {}
    if asked.only and written.exists():
        facts = {name: each for name, each in json.loads(written.read_text("utf-8")).items() if name in OPTIONS}
    for name in sets:
        path = [f"data.path={asked.bccd}"] if name == "bccd" else []
        with TemporaryDirectory() as temporary:
            facts[name] = measure([*OPTIONS[name], *path], Path(temporary))
        facts[name]["command"] = facts[name]["command"].replace(str(asked.bccd), "FOLDER")
        facts[name]["threads"] = int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1))
    facts = {name: facts[name] for name in OPTIONS if name in facts}
    write_report("objects", text_of(facts), facts, ["torch", "transformers", "scikit-learn", "onnxruntime", "pillow"])


def text_of(facts: dict[str, Any]) -> list[str]:
    """The report's paragraphs."""
    parts = [
        "# Objects in pictures",
        "`python benchmarks/objects.py FOLDER`: the bundled harbour, and the blood cells of BCCD (364 photos, MIT) on "
        "the split that comes with them. In brackets, 95% intervals by drawing test pictures again.",
    ]
    for name, each in facts.items():
        rows = each["rows"]
        parts += [
            f"## {name}",
            f"    {each['command']}",
            f"{rows['train']} pictures to learn from, {rows['validation']} for the threshold, {rows['test']} to test; "
            f"{each['parameters'] / 1e6:.2f} M parameters.",
            table(("", "Measured", "Goal"), lines_of(each, GOALS[name]), "lrl"),
            table(
                ("", "Boxes", "mAP50", "mAP"),
                [
                    (group, f"{of['boxes']}", *("n/a" if of[score] is None else f"{of[score]:.3f}" for score in SCORES))
                    for group, of in (each["detail"]["by_class"] | each["detail"]["by_size"]).items()
                ],
                "lrrr",
            ),
        ]
    return parts


SCORES = ("map50", "map")


def lines_of(each: dict[str, Any], goals: dict[str, float]) -> list[tuple[str, str, str]]:
    """Of a table: what, how much, and how much it should be."""
    lost = each["trained"]["map50"]["value"] - each["served"]["map50"]["value"]
    low, high = each["f1_gained"]
    return [
        ("mAP50", interval(each["trained"]["map50"]), f"at least {goals['map50']}"),
        ("mAP", interval(each["trained"]["map"]), f"at least {goals['map']}"),
        ("mAP50 of the baseline", interval(each["baseline"]["map50"]), ""),
        ("mAP of the baseline", interval(each["baseline"]["map"]), ""),
        ("F1 of a picture, above the baseline's (paired, 95%)", f"{low:.3f} to {high:.3f}", "above 0"),
        (f"Graph in {each['precision']}, bytes", f"{each['graph_bytes']:,}", f"at most {SMALL:,}"),
        ("mAP50 that int8 loses on the test pictures", f"{lost:.4f}", f"at most {NEAR}"),
        ("A picture by the graph, processor ms", f"{each['graph_ms']:.1f}", f"at most {goals['ms']:g}"),
        ("Decoding and letterbox, processor ms", f"{each['encode_ms']:.1f}", ""),
        ("Training, processor seconds", f"{each['training_cpu_s']:.0f}", "600 for BCCD"),
        ("From files to a bundle, processor seconds", f"{each['cpu_s']:.0f}", ""),
        (f"The same, seconds (threads: {each['threads']})", f"{each['s']:.0f}", "100 for harbour on 2 idle cores"),
    ]


def interval(score: dict[str, Any]) -> str:
    """With its ends."""
    return f"{score['value']:.3f} ({score['low']:.3f} to {score['high']:.3f})"


if __name__ == "__main__":
    main()
