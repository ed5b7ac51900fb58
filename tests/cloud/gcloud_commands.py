"""Checks gcloud commands and flags against the tree of its command completion."""

import re
import shlex
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest


def mistakes(text: str) -> list[str]:
    """The mistakes in the gcloud commands of a shell line; skips without gcloud."""
    inner = re.findall(r"\$\((gcloud .*?)\)\"", text)
    outer = re.sub(r"\$\(gcloud .*?\)\"", 'X"', text)
    parts = [part for line in (outer, *inner) for part in re.split(r"&&|\|", line)]
    return [wrong for part in parts if (words := shlex.split(part))[:1] == ["gcloud"] for wrong in _misread(words)]


def _misread(words: list[str]) -> list[str]:
    node = tree = _tree()
    rest = words[1:]
    while rest and rest[0] in node["commands"]:
        node = node["commands"][rest.pop(0)]
    if node["commands"]:
        return [f"{shlex.join(words)}: no such command"]
    flags = {*node["flags"], *tree["flags"]}
    used = [word.partition("=")[0] for word in rest if word.startswith("--")]
    return [f"{shlex.join(words)}: no flag {flag}" for flag in used if flag not in flags]


@cache
def _tree() -> dict[str, Any]:
    if (gcloud := shutil.which("gcloud")) is None:
        pytest.skip("gcloud is not on this machine")
    words = ["gcloud", "info", "--format=value(installation.sdk_root)"]
    root = subprocess.run(words, capture_output=True, text=True).stdout.strip() or Path(gcloud).resolve().parents[1]
    file = Path(root, "data", "cli", "gcloud_completions.py")
    if not file.is_file():
        pytest.skip("this gcloud completes no words")
    described: dict[str, Any] = {}
    exec(compile(file.read_text(encoding="utf-8"), file, "exec"), described)  # noqa: S102 - gcloud's own
    tree: dict[str, Any] = described["STATIC_COMPLETION_CLI_TREE"]
    return tree
