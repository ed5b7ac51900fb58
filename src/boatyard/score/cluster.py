"""Ray: started on this machine, or joined where RAY_ADDRESS says; nothing else of the package speaks to it."""

import logging
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

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
from boatyard.config.errors import UserError
from boatyard.config.processes import allowed_cores
from boatyard.score.files import File, Forms
from boatyard.score.plan import Plan, Task
from boatyard.score.slices import Cut, cut
from boatyard.score.work import Done, Places, Worker
from boatyard.storage import open_storage

_OBJECTS = 100 * 2**20  # bytes of Ray's object store on this machine: only numbers of slices go through it
_AHEAD = 2  # slices that an actor is given at once, so that none waits for the driver


@contextmanager
def joined() -> Iterator[None]:
    """While it lasts, there is Ray. Raises UserError: there is none at RAY_ADDRESS, or what a worker raises."""
    for chatty in ("ray", "ray.data"):
        logging.getLogger(chatty).setLevel(logging.ERROR)
    address = os.environ.get("RAY_ADDRESS")
    if address and re.fullmatch(r"[^/]+:[0-9]+", address) and not answers(address):  # Ray itself tries for minutes
        raise UserError(f"RAY_ADDRESS={address}: nothing answers there")
    own: dict[str, Any] = {} if address else {"num_cpus": allowed_cores(), "object_store_memory": _OBJECTS}
    try:
        with _without_notes():
            ray.init(address=address or "local", log_to_driver=False, logging_level=logging.ERROR, **own)
    except (ConnectionError, RuntimeError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0]
        if address is None:
            raise UserError(f"Ray does not start on this machine ({reason})") from error
        raise UserError(
            f"RAY_ADDRESS={address}: no Ray cluster can be joined there ({reason}); if it runs, it may ask for its "
            "key, as RAY_AUTH_MODE=token and RAY_AUTH_TOKEN"
        ) from error
    try:
        if not _cores():
            raise UserError(f"RAY_ADDRESS={address}: that cluster has no cores")
        yield
    except ray.exceptions.RayError as error:
        if (known := _known(error)) is not None:
            raise known from None
        raise
    finally:
        ray.shutdown()


def cut_files(task: Task, manifest: Manifest, places: Places, indices: Sequence[int]) -> list[Cut]:
    """Of the files with these indices, one in each of Ray's tasks."""
    block, required = task.block, manifest.request_schema.get("required", [])

    @ray.remote(num_cpus=1)
    def one(index: int, file: File) -> Cut:
        return cut(open_storage(places.rows), file, index, Forms(manifest), block, required)

    cuts: list[Cut] = ray.get([one.remote(index, task.files[index]) for index in indices])
    return cuts


def work(plan: Plan, places: Places, numbers: Sequence[int], actors: int | None) -> Iterator[Done]:
    """The blocks of the slices with these numbers as they are written, in any order.

    `actors`: as many as there are cores in the cluster, unless it says so. One whose machine died is started again
    where there is room, and its slices are given to others.
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
        yield from (Done(rows, bad) for rows, bad in zip(batch["rows"].tolist(), batch["bad"].tolist(), strict=True))


class _Actor:
    """What Ray Data calls: numbers of slices in, what became of them out."""

    def __init__(self, plan: Plan, places: Places) -> None:
        self._worker = Worker(plan, places)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        done = [self._worker.work(number) for number in batch["number"].tolist()]
        return {"rows": np.array([each.rows for each in done]), "bad": np.array([each.bad for each in done])}


def _cores() -> int:
    return int(ray.cluster_resources().get("CPU", 0))  # type: ignore[no-untyped-call]


@contextmanager
def _without_notes() -> Iterator[None]:
    """Past Python, Ray writes that it has read the level of its log, which no level keeps it from."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with Path(os.devnull).open("w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _known(error: BaseException | None) -> Exception | None:
    """What was raised in the first place, if it is a sentence for the user."""
    while error is not None:
        if isinstance(error, UserError | OSError) and not isinstance(error, ray.exceptions.RayError):
            return error
        error = getattr(error, "cause", None) or error.__cause__
    return None
