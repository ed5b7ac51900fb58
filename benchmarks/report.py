"""Writes the result of a benchmark as JSON and Markdown, with a description of the machine in both."""

import json
import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

FOLDER = Path("reports/benchmarks")


def describe_machine(packages: list[str]) -> dict[str, Any]:
    """The one that this runs on."""
    return {
        "processor": platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        **({"threads": int(threads)} if (threads := os.environ.get("OMP_NUM_THREADS")) else {}),
        "python": platform.python_version(),
        "packages": {package: version(package) for package in packages},
    }


def measured_on(machine: dict[str, Any]) -> str:
    """As a sentence."""
    packages = ", ".join(f"{package} {number}" for package, number in machine["packages"].items())
    threads = f" with OMP_NUM_THREADS={machine['threads']}" if "threads" in machine else ""
    return (
        f"Measured on {machine['cores']} cores ({machine['processor']}){threads} that were shared with other work, so "
        f"times are upper bounds; Python {machine['python']}, {packages}."
    )


def write_report(name: str, text: list[str], facts: dict[str, Any], packages: list[str]) -> None:
    """Write NAME.md, whose last paragraph describes the machine, and NAME.json with the same figures.

    `facts` that were read from NAME.json say themselves which `machine` they were measured on.
    """
    facts = {"machine": describe_machine(packages), **facts}
    FOLDER.mkdir(parents=True, exist_ok=True)
    pages = "\n\n".join([*text, measured_on(facts["machine"])])
    FOLDER.joinpath(f"{name}.md").write_text(pages + "\n", encoding="utf-8")
    FOLDER.joinpath(f"{name}.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
