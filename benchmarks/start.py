"""Start time, imports and install size:  python benchmarks/start.py MODEL

MODEL is published here, as for benchmarks/serve.py. Beside Boatyard's server stands the plain way to serve the same
weights (benchmarks/servers/plain.py). Writes reports/benchmarks/starting.md and .json; fails if a goal is missed.
"""

import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from load import Server
from report import write_report
from serve import CONTENDERS, environment, fetch_model

from boatyard.config.errors import UserError
from boatyard.evaluate.markdown import table

ROUNDS = 5
MOST_SECONDS, SHARE_OF_PLAIN, MOST_MEGABYTES = 0.7, 0.1, 220
UNWANTED = ("torch", "transformers", "pandas", "pyarrow", "scipy", "datasets", "hydra")
LISTED = 12


def first_answers(model: str, folder: Path) -> dict[str, list[float]]:
    """Seconds from process start to the first 200 of /predict, in turns."""
    bundle, root = fetch_model(model, folder)
    body = json.dumps(bundle.manifest.examples[0])
    times: dict[str, list[float]] = {"boatyard": [], "plain": []}
    for _ in range(ROUNDS):
        for name, seconds in times.items():
            start = time.perf_counter()
            with Server(CONTENDERS[name].command, folder / "server.log", **environment(bundle, root, folder)) as server:
                server.wait_for_answer(body)
                seconds.append(time.perf_counter() - start)
    return times


def imports() -> tuple[dict[str, float], set[str]]:
    """Milliseconds of importing the server, by top-level package, and all imported top-level names."""
    code = "import sys; import boatyard.api.__main__; print(*sys.modules)"
    process = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", code], capture_output=True, text=True, check=True
    )
    spent: Counter[str] = Counter()
    for own, name in re.findall(r"import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)", process.stderr):
        spent[name.partition(".")[0]] += int(own)
    packages = {name: microseconds / 1000 for name, microseconds in spent.most_common(LISTED)}
    return packages, {name.partition(".")[0] for name in process.stdout.split()}


def installed(extra: str = "") -> tuple[float, dict[str, float], set[str]]:
    """Megabytes of a fresh site-packages with bytecode, those of its largest folders, and the names of all folders."""
    with tempfile.TemporaryDirectory() as folder:
        environment = Path(folder, "venv")
        subprocess.run(["uv", "venv", "--quiet", str(environment)], check=True)
        words = ["uv", "pip", "install", "--quiet", "--compile-bytecode", "--link-mode=copy", f".{extra}"]
        subprocess.run([*words, f"--python={environment}"], check=True)
        (packages,) = environment.glob("lib/python*/site-packages")
        sizes = {path.name: _bytes(path) / 1e6 for path in packages.iterdir()}
        largest = sorted(sizes.items(), key=lambda size: -size[1])[:LISTED]
        return sum(sizes.values()), dict(largest), set(sizes)


def _bytes(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def main() -> int:
    """Measure and write the report; returns 1 if a goal is missed."""
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as folder:
        try:
            times = first_answers(sys.argv[1], Path(folder))
        except UserError as error:
            print(f"start: {error}", file=sys.stderr)  # noqa: T201
            return 2
    spent, modules = imports()
    size, folders, names = installed()
    plain_size, _, _ = installed("[train]")
    ours, plain = statistics.median(times["boatyard"]), statistics.median(times["plain"])
    share = statistics.median(a / b for a, b in zip(times["boatyard"], times["plain"], strict=True))
    unwanted = sorted((modules | names) & set(UNWANTED))
    missed = [
        *([f"{ours:.2f} s to the first answer, of {MOST_SECONDS:g}"] if ours > MOST_SECONDS else []),
        *([f"{share:.2f} of the plain way's start, of {SHARE_OF_PLAIN:g}"] if share > SHARE_OF_PLAIN else []),
        *([f"{size:.0f} MB installed, of {MOST_MEGABYTES}"] if size > MOST_MEGABYTES else []),
        *([f"imported or installed: {', '.join(unwanted)}"] if unwanted else []),
    ]
    command = f"python benchmarks/start.py {sys.argv[1]}"
    text = [
        "# Starting",
        f"From process start to the first 200 of /predict: {ours:.2f} s (median of {ROUNDS}; "
        f"{min(times['boatyard']):.2f} to {max(times['boatyard']):.2f}); the plain way, with torch and transformers, "
        f"{plain:.2f} s. Boatyard takes {share:.2f} of that.",
        "What importing the server takes, by package, in ms (`python -X importtime`, which itself slows it):",
        table(["package", "ms"], [[name, f"{spent[name]:.0f}"] for name in spent], align="lr"),
        f"A fresh environment with the core install holds {size:.0f} MB, compiled bytecode included; with what "
        f"training needs it holds {plain_size:.0f} MB. The largest parts of the core, in MB:",
        table(["folder", "MB"], [[name, f"{folders[name]:.1f}"] for name in folders], align="lr"),
        f"    {command}",
    ]
    if missed:
        text.append(f"Goals missed: {'; '.join(missed)}.")
    facts = {
        "command": command,
        "first_answer_seconds": times,
        "import_milliseconds": spent,
        "core_megabytes": size,
        "train_megabytes": plain_size,
        "folders_megabytes": folders,
    }
    write_report("starting", text, facts, ["boatyard", "onnxruntime", "fastapi", "torch", "transformers"])
    print("missed: " + "; ".join(missed) if missed else "every goal is met", file=sys.stderr)  # noqa: T201
    return bool(missed)


if __name__ == "__main__":
    sys.exit(main())
