"""Scores, size and time on claims and articles, which are long texts:  python benchmarks/fakenews.py FILE [MODEL]

FILE is news.csv, with the columns title, text, label and split. Runs the pipeline with the default model, with three
seeds; finished ones are skipped. With MODEL, which is published here, such as fakenews@production, it is served
instead, as in benchmarks/serve.py: in turns with LitServe on the same graph, under load from wrk that asks for texts of
200 words. Writes reports/benchmarks/fakenews.md and .json.
"""

import csv
import json
import statistics
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from accuracy import Report, compare
from report import FOLDER
from serve import CONTENDERS, LITSERVE, ROUNDS, SECONDS, ask, environment, fetch_model

from boatyard.config.errors import UserError

WORDS, CONNECTIONS = 200, 32
LEAST_RATIO = 3.0
RIVAL = "lit_onnx"
REPORT = Report(
    "fakenews",
    "python benchmarks/fakenews.py FILE",
    [
        "# Fake news",
        "Claims with what fact-checkers wrote of them, the verdict's words left out, and some articles: real or "
        "fake, half of the texts longer than 144 tokens and one of ten than 242. The encoder reads the first 64 "
        "and the last 64, and the wide branch 4,096. "
        "Goals: macro-F1 of 0.82 as served, where the baseline has 0.80; at most 180 s on 2 cores; a graph of at "
        "most 8 MB.",
    ],
)


def serving(file: str, model: str) -> dict[str, Any]:
    """Answers a second to texts of 200 words, in rounds of both servers."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        bundle, root = fetch_model(model, folder)
        requests, settings = write_requests(file, folder / "requests.jsonl"), environment(bundle, root, folder)
        rounds = [
            {name: ask(CONTENDERS[name], settings, requests, [CONNECTIONS], folder) for name in ("boatyard", RIVAL)}
            for _ in range(ROUNDS)
        ]
    loads = [{name: asked["loads"][CONNECTIONS] for name, asked in one.items()} for one in rounds]
    ratio = statistics.median(one["boatyard"]["per_second"] / one[RIVAL]["per_second"] for one in loads)
    ours, theirs = (
        {figure: statistics.median(one[name][figure] for one in loads) for figure in ("per_second", "p50_ms", "p99_ms")}
        for name in ("boatyard", RIVAL)
    )
    sentence = (
        f"Asked over HTTP by {CONNECTIONS} connections for texts of {WORDS} words below a title, Boatyard answers "
        f"{_shown(ours)}, LitServe on the same graph {_shown(theirs)}: {ratio:.1f} times as many, where the goal is "
        f"{LEAST_RATIO:g}. Medians of {ROUNDS} rounds of {SECONDS} s each; the ratio is of neighbours in a round. "
        f"{LITSERVE} may batch 32 and use all cores, and tokenises by the same code. `{REPORT.command} MODEL`, "
        f"{bundle.manifest.version}."
    )
    return {"sentence": sentence, "ratio": ratio, "rounds": rounds}


def _shown(load: Mapping[str, float]) -> str:
    return f"{load['per_second']:.0f} a second (p50 {load['p50_ms']:.0f} ms, p99 {load['p99_ms']:.0f} ms)"


def write_requests(file: str, requests: Path) -> Path:
    """The test split's texts one after another, cut after every 200 words, below a title each."""
    with Path(file).open(encoding="utf-8", newline="") as source:
        rows = [row for row in csv.DictReader(source) if row["split"] == "test"]
    words = [word for row in rows for word in row["text"].split()]
    texts = [" ".join(words[start : start + WORDS]) for start in range(0, len(words) - WORDS + 1, WORDS)]
    bodies = [json.dumps({"title": row["title"], "text": text}) for row, text in zip(rows, texts, strict=False)]
    requests.write_text("".join(f"{body}\n" for body in bodies), encoding="utf-8")
    return requests


def main() -> int:
    """Run the model, or serve it, and write the report."""
    match sys.argv[1:]:
        case [file]:
            return compare(REPORT, {"long": []}, ["data=fakenews", f"data.path={file}"])
        case [file, model]:
            measured = json.loads((FOLDER / "fakenews.json").read_text(encoding="utf-8"))
            try:
                REPORT.write(measured["results"], measured["commands"], serving(file, model))
            except (UserError, OSError) as error:
                sys.exit(f"fakenews: {error}")
            return 0
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    sys.exit(main())
