"""Ray: started on this machine, or joined where RAY_ADDRESS says; nothing else that scores speaks to it."""

import logging
import os
import re
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout
from dataclasses import astuple
from functools import cached_property
from pathlib import Path
from typing import IO, Any, NoReturn

import numpy as np

# nothing is reported to Ray's makers, unless the environment says otherwise
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
# or under `uv run` each worker would be started by another `uv run`, in a copy of the whole folder
os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")

# one line of alarm for each actor that may be started again, which all of Ray Data's may
os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")

import ray
import ray.data

from boatyard.bundle.manifest import Manifest
from boatyard.config.addresses import answers
from boatyard.config.errors import Stopped, UserError, refusal
from boatyard.config.processes import allowed_cores, ending_signals
from boatyard.score.files import File, Forms
from boatyard.score.plan import Plan, Task
from boatyard.score.slices import Cut, cut
from boatyard.score.work import Done, Places, Worker
from boatyard.storage import open_storage

_OBJECTS = 100 * 2**20  # bytes of Ray's object store on this machine: only numbers of slices go through it
_AHEAD = 2  # slices that an actor is given at once, so that none waits for the driver


@contextmanager
def joined() -> Iterator[None]:
    """While it lasts, there is Ray.

    Raises:
        UserError: there is none at RAY_ADDRESS, or none that could work.
        Stopped: a signal ended the work.
    """
    for chatty in ("ray", "ray.data"):
        logging.getLogger(chatty).setLevel(logging.ERROR)
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):  # for what becomes of Ray's own processes
        _start(nowhere)
        try:
            if not _cores():
                raise UserError("the Ray cluster has no cores")
            with _stopping():
                yield
        finally:
            ray.shutdown()


def _start(nowhere: IO[str]) -> None:
    address = os.environ.get("RAY_ADDRESS")
    if address and re.fullmatch(r"[^/]+:[0-9]+", address) and not answers(address):  # Ray itself tries for minutes
        raise UserError(f"RAY_ADDRESS={address}: nothing answers there")
    own: dict[str, Any] = {} if address else {"num_cpus": allowed_cores(), "object_store_memory": _OBJECTS}
    try:
        # past Python Ray writes which level its log has; of a cluster, also why it gave up and ended this process
        with nullcontext() if address else _stderr_to(nowhere):
            ray.init(address=address or "local", log_to_driver=False, logging_level=logging.ERROR, **own)
    except (ConnectionError, RuntimeError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0]
        if not address:
            raise UserError(f"Ray does not start on this machine ({reason})") from error
        raise UserError(
            f"RAY_ADDRESS={address}: no Ray cluster can be joined there ({reason}); if it runs, it may ask for its "
            "key, as RAY_AUTH_MODE=token and RAY_AUTH_TOKEN"
        ) from error


def cut_files(task: Task, manifest: Manifest, places: Places, indices: Sequence[int]) -> list[Cut]:
    """Of the files with these indices, one in each of Ray's tasks. Raises UserError: one cannot be read."""
    block, required = task.block, manifest.request_schema.get("required", [])

    @ray.remote(num_cpus=1)
    def one(index: int, file: File) -> Cut | str:
        try:
            return cut(open_storage(places.rows), file, index, Forms(manifest), block, required)
        except (OSError, UserError) as error:  # raised, it would come wrapped in Ray's own
            return refusal(error)

    cuts: list[Cut] = []
    for made in ray.get([one.remote(index, task.files[index]) for index in indices]):
        if isinstance(made, str):
            raise UserError(made)
        cuts.append(made)
    return cuts


def work(plan: Plan, places: Places, numbers: Sequence[int], actors: int | None) -> Iterator[Done]:
    """The blocks of the slices with these numbers as they are written, in any order.

    `actors`: as many as there are cores in the cluster, unless it says so. One whose machine died is started again
    where there is room, and its slices are given to others.

    Raises:
        UserError: a slice cannot be read, answered or written.
    """
    if not numbers:
        return
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    size = min(actors or _cores(), len(numbers))
    slices = ray.data.from_items([{"number": number} for number in numbers], override_num_blocks=len(numbers))
    written = slices.map_batches(
        _Actor,
        fn_constructor_args=(plan, places),
        batch_size=1,
        batch_format="numpy",
        compute=ray.data.ActorPoolStrategy(size=size, max_tasks_in_flight_per_actor=_AHEAD),
        num_cpus=1,
    )
    for batch in written.iter_batches(batch_size=None, prefetch_batches=0, batch_format="numpy"):
        for rows, bad, refused in zip(*(batch[name].tolist() for name in _Actor.COLUMNS), strict=True):
            if refused:
                raise UserError(refused)
            yield Done(rows, bad)


class _Actor:
    """What Ray Data calls: the number of a slice in, what became of it out."""

    COLUMNS = ("rows", "bad", "refused")

    def __init__(self, plan: Plan, places: Places) -> None:
        self._plan, self._places = plan, places

    @cached_property
    def _worker(self) -> Worker:
        return Worker(self._plan, self._places)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        (number,) = batch["number"].tolist()
        done, refused = Done(0, 0), ""
        try:
            done = self._worker.work(number)
        except (OSError, UserError) as error:
            refused = refusal(error)
        return {name: np.array([value]) for name, value in zip(self.COLUMNS, (*astuple(done), refused), strict=True)}


def _cores() -> int:
    return int(ray.cluster_resources().get("CPU", 0))  # type: ignore[no-untyped-call]


@contextmanager
def _stderr_to(file: IO[str]) -> Iterator[None]:
    """Of C++ too."""
    sys.stderr.flush()
    kept = os.dup(2)
    os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


@contextmanager
def _stopping() -> Iterator[None]:
    """Signals end the work; Ray's own handler of SIGTERM would abort the process."""
    received: list[int] = []

    def stop(number: int, _: object) -> NoReturn:
        received.append(number)
        raise KeyboardInterrupt  # which no library takes for an error of its own

    for number in ending_signals():
        signal.signal(number, stop)
    try:
        yield
    except KeyboardInterrupt:
        raise Stopped(received[0], "The same command goes on with the blocks that are not there") from None
