"""Accuracy on the bundled messages, as the first command of the README gives it:  python benchmarks/inbox.py

Runs the pipeline with the tiny model and with one from random weights, with three seeds each; finished ones are
skipped. Writes reports/benchmarks/inbox.md and .json.
"""

import sys

from accuracy import Report, compare


def main() -> int:
    """Run both models and write the report."""
    about = [
        "# Inbox",
        "The bundled messages to a bank: 28 intents, many of them near each other, and few rows. Tiny's encoder "
        "has seen the training rows without their labels ([how it was made](../../encoders/tiny-en/README.md)).",
    ]
    return compare(
        Report("inbox", "python benchmarks/inbox.py", about),
        {"tiny": ["model=tiny"], "scratch": ["model=scratch"]},
        ["data=inbox"],
    )


if __name__ == "__main__":
    sys.exit(main())
