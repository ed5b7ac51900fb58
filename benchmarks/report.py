"""Writes the result of a benchmark as JSON and Markdown, with a description of the machine in both."""

import json
import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

FOLDER = Path("reports/benchmarks")


def write_report(name: str, text: list[str], facts: dict[str, Any], packages: list[str]) -> None:
    """Write NAME.md, whose last paragraph describes the machine, and NAME.json with the same figures."""
    machine = {
        "processor": platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "packages": {package: version(package) for package in packages},
    }
    packages_text = ", ".join(f"{package} {number}" for package, number in machine["packages"].items())
    measured = (
        f"Measured on {machine['cores']} cores ({machine['processor']}) that were shared with other work, so times are "
        f"upper bounds; Python {machine['python']}, {packages_text}."
    )
    FOLDER.mkdir(parents=True, exist_ok=True)
    FOLDER.joinpath(f"{name}.md").write_text("\n\n".join([*text, measured]) + "\n", encoding="utf-8")
    content = json.dumps({"machine": machine, **facts}, indent=2)
    FOLDER.joinpath(f"{name}.json").write_text(content + "\n", encoding="utf-8")
