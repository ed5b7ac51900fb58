"""How many files a process may have open; each connection is one."""

from contextlib import suppress

try:
    import resource
except ImportError:  # Windows has no such limit
    UNLIMITED = True
else:
    UNLIMITED = False

_MOST = 10_240  # where the system names no limit: macOS accepts no more


def most_open_files() -> int | None:
    """The limit now; None where there is none."""
    if UNLIMITED:
        return None
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft == resource.RLIM_INFINITY else soft


def allow_open_files() -> None:
    """As many as the system lets this process have, which the usual limit of 1,024 is well below."""
    if (soft := most_open_files()) is None:
        return
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _MOST if hard == resource.RLIM_INFINITY else hard
    if most > soft:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
