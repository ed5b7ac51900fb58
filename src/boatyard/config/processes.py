"""One process or, under torchrun, several: who speaks and writes, and what ends them."""

import os
import signal

REPEAT_SECONDS = 0.5
"""Within these an ending signal counts once: the whole group may get it, and each parent may pass it on."""


def ending_signals() -> list[signal.Signals]:
    """Ctrl-C, a supervisor's, and a closed terminal's, which Windows lacks; less what nohup has this process ignore."""
    there = [number for name in ("SIGINT", "SIGTERM", "SIGHUP") if (number := getattr(signal, name, None))]
    return [number for number in there if signal.getsignal(number) is not signal.SIG_IGN]


def is_main() -> bool:
    """Whether this process writes and tracks for the whole run."""
    return int(os.environ.get("RANK", "0")) == 0


def is_first_here() -> bool:
    """Whether this process is the first one on its machine, which may have a disk of its own."""
    return int(os.environ.get("LOCAL_RANK", "0")) == 0


def several() -> bool:
    """Whether torchrun started more than one process."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1
