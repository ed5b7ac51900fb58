"""Continuous requests in the background of a test."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx


@contextmanager
def load(send: Callable[[], httpx.Response], threads: int = 3) -> Iterator[list[httpx.Response]]:
    """Send requests one after another from a few threads; yields the growing list of responses."""
    responses: list[httpx.Response] = []
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            responses.append(send())
            time.sleep(0.02)

    with ThreadPoolExecutor(threads) as pool:
        futures = [pool.submit(work) for _ in range(threads)]
        try:
            yield responses
        finally:
            stop.set()
        for future in futures:
            future.result()
