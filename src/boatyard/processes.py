"""One process or, under torchrun, several: who speaks and writes, and who goes first."""

import os
from collections.abc import Iterator
from contextlib import contextmanager


def is_main() -> bool:
    """Whether this process writes and tracks for the whole run."""
    return int(os.environ.get("RANK", "0")) == 0


def several() -> bool:
    """Whether torchrun started more than one process."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


@contextmanager
def one_first(use_cpu: bool) -> Iterator[None]:
    """Each machine's first process does the block, then the others, who find it done."""
    if not several():
        yield
        return
    from accelerate import PartialState

    with PartialState(cpu=use_cpu).local_main_process_first():
        yield
