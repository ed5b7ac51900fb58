"""Requests that go on while something else happens."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx


@contextmanager
def load(ask: Callable[[], httpx.Response], threads: int = 3) -> Iterator[list[httpx.Response]]:
    """Requests one after another from a few threads; all their answers."""
    answers: list[httpx.Response] = []
    over = threading.Event()

    def work() -> None:
        while not over.is_set():
            answers.append(ask())
            time.sleep(0.02)

    with ThreadPoolExecutor(threads) as pool:
        working = [pool.submit(work) for _ in range(threads)]
        try:
            yield answers
        finally:
            over.set()
        for each in working:
            each.result()
