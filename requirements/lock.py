"""python requirements/lock.py [--check | --relabel]: what each image installs, every file pinned by its hash.

Each file names on its first line what it was made for, so that --check needs neither a network nor uv.lock, and fails
by what pyproject.toml says alone: what a registry has withdrawn since makes nothing stale. --relabel keeps the pins and
writes only that line anew: for a project that needs less than they hold.
"""

import hashlib
import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
PROJECT = FOLDER.parent / "pyproject.toml"
EXTRAS = {  # image: beside the core install
    "api": [
        "cloud",
        "image",  # part: image
    ],
    "frontend": ["frontend"],  # part: frontend
    # part: monitor
    "monitor": [
        "cloud",
        "image",  # part: image
        "monitor",
    ],
    # part end
    "trainer": [
        "cloud",
        "scale",  # part: scale
        "train",
    ],
}
UNUSED = {  # image: of the core install, what it never loads
    "api": ["huggingface-hub"],  # which tokenizers would download with
    "frontend": ["fastapi", "fastapi-offline", "onnxruntime", "tokenizers"],  # part: frontend
}
BUILD = "build"  # the dependency group that builds them


def main(arguments: list[str]) -> int:
    """0; 1 where --check finds a file that was made for another pyproject.toml."""
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))
    if "--check" in arguments:
        stale = [name for name in (*EXTRAS, BUILD) if not is_fresh(project, name)]
        if stale:
            named = ", ".join(f"requirements/{name}.txt" for name in stale)
            print(f"{named}: pyproject.toml says otherwise by now: run `uv run invoke lock`", file=sys.stderr)
        return 1 if stale else 0
    if "--relabel" in arguments:
        for file in [file for name in (*EXTRAS, BUILD) if (file := FOLDER / f"{name}.txt").exists()]:
            _, _, pins = file.read_text(encoding="utf-8").partition("\n")
            file.write_text(first_line(project, file.stem) + pins, encoding="utf-8")
        return 0
    # from nothing, so that what this machine's uv.lock happens to keep back decides nothing
    subprocess.run(["uv", "lock", "--upgrade", "--quiet", "--project", PROJECT.parent], check=True)
    for name in (*EXTRAS, BUILD):
        (FOLDER / f"{name}.txt").write_text(first_line(project, name) + exported(name), encoding="utf-8")
    return 0


def is_fresh(project: dict[str, Any], name: str) -> bool:
    file = FOLDER / f"{name}.txt"
    return file.exists() and file.read_text(encoding="utf-8").startswith(first_line(project, name))


def first_line(project: dict[str, Any], name: str) -> str:
    """A digest of all that decides what is installed."""
    table = project["project"]
    wanted = {"python": table["requires-python"], "until": project["tool"]["uv"]["exclude-newer"]}
    if name == BUILD:
        wanted[BUILD] = project["dependency-groups"][BUILD]
    else:
        wanted["core"] = table["dependencies"]
        wanted |= {extra: table["optional-dependencies"][extra] for extra in EXTRAS[name]}
        wanted |= {"unused": UNUSED[name]} if name in UNUSED else {}
    digest = hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()
    return f"# by `invoke lock`, for a pyproject.toml of {digest[:16]}\n"


def exported(name: str) -> str:
    chosen = ["--only-group", BUILD] if name == BUILD else [f"--extra={extra}" for extra in EXTRAS[name]]
    words = ["uv", "export", "--frozen", "--quiet", "--format=requirements.txt", "--project", str(PROJECT.parent)]
    plain = ["--no-default-groups", "--no-emit-project", "--no-header", "--no-annotate"]
    chosen += [f"--prune={package}" for package in UNUSED.get(name, [])]
    return subprocess.run([*words, *plain, *chosen], check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
