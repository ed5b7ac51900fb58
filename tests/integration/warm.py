"""Processes that need not load torch, which takes seconds: each is forked from one that has. Not a test itself."""

import os
import runpy
import sys
from collections.abc import Callable, Sequence
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

_CONTEXT = get_context("forkserver")
_CONTEXT.set_forkserver_preload(["boatyard.data.prepare", "boatyard.pipeline.sweep.search"])


def start(target: Callable[..., None], *arguments: Any) -> BaseProcess:
    """Begin `target(*arguments)`."""
    process = _CONTEXT.Process(target=target, args=arguments)
    process.start()
    return process


def command(module: str, words: Sequence[str], output: Path) -> BaseProcess:
    """Begin `python -m MODULE WORDS`; all that it prints goes to the file `output`."""
    return start(_run, module, [*words], output)


def _run(module: str, words: list[str], output: Path) -> None:
    with output.open("ab", buffering=0) as file:
        for descriptor in (1, 2):
            os.dup2(file.fileno(), descriptor)
    sys.argv[1:] = words
    runpy.run_module(module, run_name="__main__", alter_sys=True)
