"""One process or, under torchrun, several: who speaks and writes."""

import os


def is_main() -> bool:
    """Whether this process writes and tracks for the whole run."""
    return int(os.environ.get("RANK", "0")) == 0


def several() -> bool:
    """Whether torchrun started more than one process."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1
