"""One process or, under torchrun, several: who speaks and writes."""

import os

REPEAT_SECONDS = 0.5
"""Within which a signal that ends a process counts once: it may come to the whole group, and from each parent too."""


def is_main() -> bool:
    """Whether this process writes and tracks for the whole run."""
    return int(os.environ.get("RANK", "0")) == 0


def is_first_here() -> bool:
    """Whether this process is the first one on its machine, which may have a disk of its own."""
    return int(os.environ.get("LOCAL_RANK", "0")) == 0


def several() -> bool:
    """Whether torchrun started more than one process."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1
