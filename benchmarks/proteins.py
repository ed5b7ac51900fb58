"""What is learnt of beta-lactamases, on splits that keep families together:  python benchmarks/proteins.py

Each split deals out whole families at random, by label. A network is trained on it as by `data=resistance`, and
measured beside the baseline and a logistic regression of the same 3-mers, with and without the network's augmentation:
on the test rows, on the first half of each, and on what is nothing, which are shuffled, reversed, random and repetitive
sequences. `--million` clusters a million sequences besides. Writes reports/benchmarks/proteins.md and .json.
"""

import argparse
import gzip
import re
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from protein_server import ASKED_RESIDUES, measure_server
from report import write_report
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, roc_auc_score
from timed import make

from boatyard.bundle.manifest import Bundle
from boatyard.bundle.predict import Predictor
from boatyard.config.compose import load_config
from boatyard.evaluate.markdown import table
from boatyard.inputs.protein.families import MOST_EXACT, families, words_of
from boatyard.inputs.protein.sequences import RESIDUES, numbers
from boatyard.inputs.protein.settings import ProteinTrain
from boatyard.inputs.protein.substitution import FREQUENCIES
from boatyard.inputs.protein.variation import varied_sequence, vary_rows
from boatyard.inputs.training_protocol import TARGET

FILE, NONE = Path("data/raw/resistance.fasta.gz"), "non"
LETTERS = np.array(["", *RESIDUES, "X"])
LABEL = re.compile(r"\[(\w+)\]")
SPLITS = 3
SHARES = {"train": 0.7, "validation": 0.1, "test": 0.2}
CLUSTERED, MILLION = 10_000, 1_000_000
SHUFFLES = 10
MADE = 150  # sequences of each kind
RELATIVES = 4  # of each training row, in the logistic regression that is augmented
GOALS = {"macro_f1": 0.98, "auroc": 0.998, "halves": 0.95, "p50_ms": 3}
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


def measure(
    rows: Sequence[Record], group: NDArray[np.int64], seed: int, folder: Path
) -> tuple[dict[str, float], Bundle]:
    """One split: the network and the baseline on it, and what the network makes of halves and of nothing."""
    (source := folder / "rows").mkdir()
    write_split(rows, group, seed, source)
    made = make(["data=resistance", f"data.path={source}"], folder)
    prepared, evaluation, bundle = made.prepared, made.evaluation, made.bundle
    predictor = Predictor(bundle)

    labels, targets = prepared.target["labels"], prepared.targets("test")
    none = labels.index(NONE)

    def chances(sequences: Sequence[str]) -> NDArray[Any]:
        parts = (sequences[at : at + 100] for at in range(0, len(sequences), 100))
        return np.concatenate([predictor.outputs([(each, "") for each in part])["probabilities"] for part in parts])

    def alarms(sequences: Sequence[str]) -> float:
        return float((chances(sequences).argmax(axis=1) != none).mean())

    random = np.random.default_rng(seed)
    learnt = [sequence for sequence, _ in prepared.rows("train")]
    tested = [sequence for sequence, _ in prepared.rows("test")]
    lactamases = [sequence for sequence, target in zip(tested, targets, strict=True) if target != none]
    shuffled = ["".join(random.permutation(list(each))) for each in lactamases * SHUFFLES]
    invented = {
        "reversed": [each[::-1] for each in lactamases],
        **made_up([len(each) for each in random.choice(lactamases, MADE).tolist()], random),
    }
    predicted = chances(tested)
    halves = chances([sequence[: -(-len(sequence) // 2)] for sequence in tested])
    figures = {
        "macro_f1": evaluation.scores.by_name()["macro_f1"],
        "baseline": evaluation.baseline.by_name()["macro_f1"],
        **logistic_regressions((learnt, prepared.targets("train")), (tested, targets), none, random),
        "auroc": float(roc_auc_score(targets != none, 1 - predicted[:, none])),
        "others": float((predicted[targets == none].argmax(axis=1) != none).mean()),
        "halves": float(f1_score(targets, halves.argmax(axis=1), average="macro")),
        "shuffled": alarms(shuffled),
        "made": alarms([each for kind in invented.values() for each in kind]),
        **{kind: alarms(sequences) for kind, sequences in invented.items()},
        "test_rows": len(tested),
        **made.took,
    }
    return figures, bundle


def made_up(lengths: Sequence[int], random: np.random.Generator) -> dict[str, list[str]]:
    """Sequences of no protein: by chance, of an odd composition, and the same few residues again and again."""
    letters = np.array(list(RESIDUES))

    def drawn(length: int, shares: NDArray[np.float64]) -> str:
        return "".join(random.choice(letters, length, p=shares))

    return {
        "random": [drawn(length, FREQUENCIES) for length in lengths],
        "odd": [drawn(length, random.dirichlet(np.full(len(letters), 0.5))) for length in lengths],
        "repetitive": [(drawn(int(random.integers(1, 12)), FREQUENCIES) * length)[:length] for length in lengths],
    }


Labelled = tuple[Sequence[str], NDArray[np.int64]]


def logistic_regressions(train: Labelled, test: Labelled, none: int, random: np.random.Generator) -> dict[str, float]:
    """Macro F1 of one on 3-mer counts, and of the same where training rows have relatives and a background besides."""
    settings = load_config(["data=resistance"]).train.protein
    vary = partial(vary_rows, settings, none)
    items = [{"residues": numbers(sequence), TARGET: int(target)} for sequence, target in zip(*train, strict=True)]
    varied = [item for _ in range(RELATIVES) for item in vary(items, random)]
    augmented = [*train[0], *(written(item["residues"]) for item in varied)]
    labels = [*train[1], *(item[TARGET] for item in varied)]
    return {
        "regression": _regression(train, test),
        "augmented_regression": _regression((augmented, np.array(labels)), test),
    }


def _regression(train: Labelled, test: Labelled) -> float:
    counts = CountVectorizer(analyzer="char", lowercase=False, ngram_range=(3, 3))
    model = LogisticRegression(max_iter=1000).fit(counts.fit_transform(train[0]), train[1])
    predicted = model.predict(counts.transform(test[0]))
    return float(f1_score(test[1], predicted, average="macro"))


def written(residues: NDArray[np.uint8]) -> str:
    """Numbers as letters."""
    return "".join(LETTERS[residues])


def many(rows: Sequence[Record], count: int) -> list[str]:
    """So many sequences: the rows' own, and relatives of these, near or far."""
    random, settings = np.random.default_rng(0), ProteinTrain(substituted=0.9)
    encoded = [numbers(sequence) for _, _, sequence in rows]
    drawn = random.integers(len(rows), size=count - len(rows)).tolist()
    varied = (written(varied_sequence(encoded[row], settings, random)) for row in drawn)
    return [*(sequence for _, _, sequence in rows), *varied]


def cluster(sequences: Sequence[str]) -> dict[str, Any]:
    """How long it takes to find their families."""
    exact = len(sequences) <= MOST_EXACT
    started, began = time.process_time(), time.perf_counter()
    found = families(words_of(sequences), exact=exact)
    took = {"cpu_s": time.process_time() - started, "s": time.perf_counter() - began}
    return {"sequences": len(sequences), "exact": exact, "families": len(np.unique(found)), **took}


def main() -> None:
    """Write reports/benchmarks/proteins.md and proteins.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--splits", type=int, default=SPLITS, help=f"{SPLITS} by default")
    parser.add_argument("--million", action="store_true", help="cluster a million sequences, which takes minutes")
    arguments = parser.parse_args()
    rows = records()
    group = families(words_of([sequence for _, _, sequence in rows]), exact=True)
    sequences, measured, server = many(rows, CLUSTERED), [], {}
    for seed in range(arguments.splits):
        with TemporaryDirectory() as temporary:
            figures, bundle = measure(rows, group, seed, Path(temporary))
            measured.append(figures)
            server = server or measure_server(bundle, sequences, Path(temporary, "served"))

    clustered = [cluster(sequences), *([cluster(many(rows, MILLION))] if arguments.million else [])]
    facts: dict[str, Any] = {"clustered": clustered, "server": server}
    facts |= {"proteins": len(rows), "families": int(group.max()) + 1, "splits": measured}
    write_report("proteins", text_of(facts), facts, ["torch", "transformers", "scikit-learn", "onnxruntime"])


def text_of(facts: dict[str, Any]) -> list[str]:
    """The report's paragraphs."""
    splits, server = facts["splits"], facts["server"]
    headings = {
        "macro_f1": ("Macro F1", ".3f", f"at least {GOALS['macro_f1']}"),
        "baseline": ("Macro F1 of the baseline, a linear SVM on 3-mers", ".3f", "4 points less"),
        "regression": ("Macro F1 of logistic regression on 3-mers", ".3f", "4 points less"),
        "augmented_regression": ("The same, on augmented rows too", ".3f", ""),
        "auroc": ("AUROC, beta-lactamase or not", ".4f", f"at least {GOALS['auroc']}"),
        "halves": ("Macro F1 on the first half of each sequence", ".3f", f"at least {GOALS['halves']}"),
        "others": ("Proteins of other families that are called a beta-lactamase", ".2%", ""),
        "shuffled": ("Shuffled beta-lactamases that are called one", ".2%", f"at most {FALSE_ALARMS:.0%}"),
        "made": ("Made-up sequences that are called one", ".2%", f"at most {FALSE_ALARMS:.0%}"),
        "reversed": ("of these, reversed beta-lactamases", ".2%", ""),
        "random": ("of these, random ones", ".2%", ""),
        "odd": ("of these, random ones of an odd composition", ".2%", ""),
        "repetitive": ("of these, repetitive ones", ".2%", ""),
        "training_cpu_s": ("Training, processor seconds", ".1f", "at most 12"),
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
        *(
            f"Families of {of['sequences']:,} sequences, {'exactly' if of['exact'] else 'by MinHash'}: "
            f"{of['families']:,} in {of['cpu_s']:.1f} processor seconds."
            for of in facts["clustered"]
        ),
        f"Served: a sequence of {ASKED_RESIDUES} residues takes {server['p50_ms']:.1f} ms (median of one client, goal "
        f"{GOALS['p50_ms']}). A FASTA file of {server['records']:,} records, as a job on a server that was killed by "
        f"kill -9, {server['killed']} times, while it answered: {server['state']} after {server['job_s']:.0f} s, waits "
        f"for the dead server's lease included, with {server['wrong']} records missing, doubled or out of order.",
    ]


if __name__ == "__main__":
    main()
