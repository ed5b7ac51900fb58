"""The roles of processes under torchrun, the signals that end them, and the cores that they may use."""

import os
import signal
from pathlib import Path

REPEAT_SECONDS = 0.5
"""Signals within this time count as one: a process group may receive it, and each parent may pass it on."""


def ending_signals() -> list[signal.Signals]:
    """SIGINT, SIGTERM and SIGHUP as far as the platform has them and this process does not ignore them (nohup)."""
    available = [number for name in ("SIGINT", "SIGTERM", "SIGHUP") if (number := getattr(signal, name, None))]
    return [number for number in available if signal.getsignal(number) is not signal.SIG_IGN]


def is_main() -> bool:
    """Whether this process is the one that writes and tracks for the whole run."""
    return int(os.environ.get("RANK", "0")) == 0


def is_first_here() -> bool:
    """Whether this process is the first on its machine; machines may not share a disk."""
    return int(os.environ.get("LOCAL_RANK", "0")) == 0


def several() -> bool:
    """Whether torchrun started more than one process."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def allowed_cores() -> int:
    """The cores that this process may use: its affinity and its cgroup's quota, which a container sets."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return max(1, min(cores, int(quota) // int(period)))
    except (OSError, ValueError):  # no cgroup v2 here, or the quota is "max"
        return cores
