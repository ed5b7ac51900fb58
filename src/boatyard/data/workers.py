"""One function over many things, in their order: in this process or, once that takes long, in one for each core.

What comes out is the same in both cases.
"""

import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import connection, get_context, parent_process
from types import ModuleType
from typing import Any, TypeVar

from boatyard.config.errors import Failed
from boatyard.config.processes import allowed_cores

Thing = TypeVar("Thing")
Result = TypeVar("Result")

_ALONE = 1.0  # seconds of the processor for which this process works by itself: others take as long to start

_work: Callable[[Any], Any]  # a worker's own


def in_order(
    make: Callable[..., Callable[[Thing], Result]], arguments: tuple[Any, ...], things: Iterable[Thing]
) -> Iterator[Result]:
    """`make(*arguments)` of each of the `things`, of which few are held at a time.

    `make` is called in each process. It, the arguments, the things and the results go from one to another by pickle.

    Raises:
        Failed: a worker was killed.
    """
    things, work, end = iter(things), make(*arguments), time.process_time() + _ALONE
    for thing in things:
        yield work(thing)
        if time.process_time() > end and (workers := _workers()) > 1:
            yield from _elsewhere(workers, make, arguments, things)
            return


def _elsewhere(
    workers: int, make: Callable[..., Callable[[Thing], Result]], arguments: tuple[Any, ...], things: Iterator[Thing]
) -> Iterator[Result]:
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _start, (make, arguments))  # threads survive no fork
    waiting: deque[Future[Result]] = deque()
    try:
        for thing in things:
            with _no_main_module():
                waiting.append(pool.submit(_do, thing))
            if len(waiting) > 2 * workers:  # so that none is idle while results are taken
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool:
        raise Failed(
            "a worker process was killed, perhaps for lack of memory: the same command begins anew, and with "
            "OMP_NUM_THREADS=1 it needs no workers"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _no_main_module() -> Iterator[None]:
    """A worker runs the script of the process that starts it, which would prepare again if nothing guards it there."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _workers() -> int:
    """One for each core, unless OMP_NUM_THREADS, by which other libraries go too, says fewer."""
    said = os.environ.get("OMP_NUM_THREADS", "")
    return min(allowed_cores(), int(said)) if said.isdecimal() and int(said) else allowed_cores()


def _start(make: Callable[..., Callable[[Any], Any]], arguments: tuple[Any, ...]) -> None:
    """Make this process a worker."""
    global _work
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all: the parent ends the workers
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.environ["RAYON_NUM_THREADS"] = "1"  # of what is written in Rust: the other cores have workers of their own
    _work = make(*arguments)


def _end_with_parent() -> None:
    """A parent that is killed tells nobody."""
    parent = parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os._exit(1)


def _do(thing: Any) -> Any:
    return _work(thing)
