"""What is learnt of beta-lactamases, on splits that keep families together:  python benchmarks/proteins.py

Each split deals out whole families at random, by label. A network is trained on it as by `data=resistance`, and
measured beside the baseline: on the test rows, on the first half of each, and on what is nothing, which are shuffled,
reversed and random sequences. Writes reports/benchmarks/proteins.md and .json.
"""

import argparse
import gzip
import re
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from report import write_report
from sklearn.metrics import f1_score, roc_auc_score

from boatyard.bundle.predict import Predictor
from boatyard.config.compose import load_config
from boatyard.data.encode import encode
from boatyard.data.prepare import prepare
from boatyard.evaluate.markdown import table
from boatyard.evaluate.run import evaluate
from boatyard.export.run import export
from boatyard.inputs.protein.families import families, words_of
from boatyard.inputs.protein.sequences import RESIDUES, numbers
from boatyard.inputs.protein.settings import ProteinTrain
from boatyard.inputs.protein.substitution import FREQUENCIES
from boatyard.inputs.protein.variation import varied_sequence
from boatyard.train.fit import train

FILE, NONE = Path("data/raw/resistance.fasta.gz"), "non"
LABEL = re.compile(r"\[(\w+)\]")
SPLITS = 3
SHARES = {"train": 0.7, "validation": 0.1, "test": 0.2}
CLUSTERED = 10_000
SHUFFLES, RANDOM = 10, 500
GOALS = {"macro_f1": 0.98, "auroc": 0.998, "halves": 0.95}
FALSE_ALARMS = 0.01

Record = tuple[str, str, str]
"""Header, label and sequence."""


def records() -> list[Record]:
    """Of the bundled file."""
    text = gzip.decompress(FILE.read_bytes()).decode()
    parts = [part.partition("\n") for part in text.split(">")[1:]]
    return [(header, LABEL.search(header)[1], lines.replace("\n", "")) for header, _, lines in parts]  # type: ignore[index]


def write_split(rows: Sequence[Record], group: NDArray[np.int64], seed: int, folder: Path) -> None:
    """Families of each label at random, each to the split that lacks most rows of it."""
    random = np.random.default_rng(seed)
    labels = np.array([label for _, label, _ in rows])
    heading = {number: labels[group == number][0] for number in np.unique(group).tolist()}
    parts: dict[str, list[Record]] = {split: [] for split in SHARES}
    for label in np.unique(labels).tolist():
        lacking = {split: share * (labels == label).sum() for split, share in SHARES.items()}
        for number in random.permutation([number for number, of in heading.items() if of == label]).tolist():
            split = max(lacking, key=lacking.__getitem__)
            family = [row for row, of in zip(rows, group, strict=True) if of == number]
            parts[split] += family
            lacking[split] -= len(family)
    for split, part in parts.items():
        written = "".join(f">{header}\n{sequence}\n" for header, _, sequence in part)
        (folder / f"{split}.fasta").write_text(written, encoding="utf-8")


def measure(rows: Sequence[Record], group: NDArray[np.int64], seed: int, folder: Path) -> dict[str, float]:
    """One split: the network and the baseline on it, and what the network makes of halves and of nothing."""
    (source := folder / "rows").mkdir()
    write_split(rows, group, seed, source)
    places = [f"paths.{place}={folder / place}" for place in ("processed", "runs", "reports", "storage")]
    config = load_config(["data=resistance", f"data.path={source}", "tracking=none", *places])
    started, worked = time.perf_counter(), time.process_time()
    prepared = prepare(config)
    encoded = encode(config, prepared)
    began = time.process_time()
    trained = train(config, prepared, encoded)
    training = time.process_time() - began
    evaluation = evaluate(config, prepared, encoded, trained)
    predictor = Predictor(export(config, prepared, trained, evaluation))
    took = {"training_cpu_s": training, "cpu_s": time.process_time() - worked, "s": time.perf_counter() - started}

    labels, targets = prepared.target["labels"], prepared.targets("test")
    none = labels.index(NONE)

    def chances(sequences: Sequence[str]) -> NDArray[Any]:
        parts = (sequences[at : at + 100] for at in range(0, len(sequences), 100))
        return np.concatenate([predictor.outputs([(each, "") for each in part])["probabilities"] for part in parts])

    def alarms(sequences: Sequence[str]) -> float:
        return float((chances(sequences).argmax(axis=1) != none).mean())

    random = np.random.default_rng(seed)
    tested = [sequence for sequence, _ in prepared.rows("test")]
    lactamases = [sequence for sequence, target in zip(tested, targets, strict=True) if target != none]
    halves = chances([sequence[: -(-len(sequence) // 2)] for sequence in tested])
    return {
        "macro_f1": evaluation.scores.by_name()["macro_f1"],
        "baseline": evaluation.baseline.by_name()["macro_f1"],
        "auroc": float(roc_auc_score(targets != none, 1 - chances(tested)[:, none])),
        "halves": float(f1_score(targets, halves.argmax(axis=1), average="macro")),
        "shuffled": alarms(["".join(random.permutation(list(each))) for each in lactamases * SHUFFLES]),
        "reversed": alarms([each[::-1] for each in lactamases]),
        "random": alarms(
            [
                "".join(random.choice(list(RESIDUES), len(each), p=FREQUENCIES))
                for each in random.choice(lactamases, RANDOM).tolist()
            ]
        ),
        "test_rows": len(tested),
        **took,
    }


def cluster(rows: Sequence[Record], count: int) -> float:
    """Processor seconds for the families of so many sequences, most of them relatives of the rows, near or far."""
    random, settings = np.random.default_rng(0), ProteinTrain(substituted=0.9)
    letters = np.array(["", *RESIDUES, "X"])
    sequences = [sequence for _, _, sequence in rows]
    for original in random.integers(len(rows), size=count - len(rows)).tolist():
        varied = varied_sequence(numbers(sequences[original]), settings, random)
        sequences.append("".join(letters[varied]))
    started = time.process_time()
    families(words_of(sequences), exact=True)
    return time.process_time() - started


def main() -> None:
    """Write reports/benchmarks/proteins.md and proteins.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--splits", type=int, default=SPLITS, help=f"{SPLITS} by default")
    splits = parser.parse_args().splits
    rows = records()
    group = families(words_of([sequence for _, _, sequence in rows]), exact=True)
    measured = []
    for seed in range(splits):
        with TemporaryDirectory() as temporary:
            measured.append(measure(rows, group, seed, Path(temporary)))

    facts: dict[str, Any] = {"clustering_cpu_s": cluster(rows, CLUSTERED), "clustered": CLUSTERED}
    facts |= {"proteins": len(rows), "families": int(group.max()) + 1, "splits": measured}
    write_report("proteins", text_of(facts), facts, ["torch", "transformers", "scikit-learn", "onnxruntime"])


def text_of(facts: dict[str, Any]) -> list[str]:
    """The report's paragraphs."""
    splits = facts["splits"]
    headings = {
        "macro_f1": ("Macro F1", ".3f", f"at least {GOALS['macro_f1']}"),
        "baseline": ("Macro F1 of the baseline", ".3f", "4 points less"),
        "auroc": ("AUROC, beta-lactamase or not", ".4f", f"at least {GOALS['auroc']}"),
        "halves": ("Macro F1 on the first half of each sequence", ".3f", f"at least {GOALS['halves']}"),
        "shuffled": ("Shuffled beta-lactamases that are called one", ".2%", f"at most {FALSE_ALARMS:.0%}"),
        "reversed": ("Reversed ones", ".2%", f"at most {FALSE_ALARMS:.0%}"),
        "random": ("Random sequences", ".2%", f"at most {FALSE_ALARMS:.0%}"),
        "training_cpu_s": ("Training, processor seconds", ".1f", ""),
        "cpu_s": ("From files to a bundle, processor seconds", ".1f", ""),
        "s": ("The same, seconds", ".1f", "at most 60"),
    }
    lines = []
    for name, (heading, form, goal) in headings.items():
        numbers = [split[name] for split in splits]
        lines.append((heading, *(format(number, form) for number in numbers), format(mean(numbers), form), goal))
    columns = ("", *(f"Split {number}" for number in range(len(splits))), "Mean", "Goal")
    return [
        "# Proteins",
        "`python benchmarks/proteins.py`: "
        f"{facts['proteins']:,} proteins of {facts['families']:,} families, `data=resistance`, with whole families on "
        f"one side of each split; {mean(split['test_rows'] for split in splits):.0f} test rows on average.",
        table(columns, lines, "l" + "r" * (len(splits) + 1) + "l"),
        f"Families of {facts['clustered']:,} sequences: {facts['clustering_cpu_s']:.1f} processor seconds.",
    ]


if __name__ == "__main__":
    main()
