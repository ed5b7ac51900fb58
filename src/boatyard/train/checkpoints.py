"""Checkpoints that are complete or absent: sealed with checksums, pruned, copied to storage, verified on reading."""

import json
import logging
import re
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError

from boatyard.bundle.checksums import FileEntry, describe, difference
from boatyard.config.errors import UserError
from boatyard.storage import Storage
from boatyard.storage.folders import clean_up, replacing

log = logging.getLogger(__name__)

MANIFEST = "checkpoint.json"
_NAME = re.compile(r"checkpoint-([0-9]+)")
_ATTEMPTS = 5  # to copy one checkpoint to storage
_FIRST_BACKOFF = 1.0  # seconds before the second attempt; doubled each time


class Seal(BaseModel):
    """The content of `checkpoint.json`. `best` is the step of the best checkpoint so far."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    step: int
    best: int | None
    files: dict[str, FileEntry]


class Checkpoints:
    """The checkpoints of one run in `folder`: the last `keep` of them (None: all) and the best."""

    def __init__(self, folder: Path, keep: int | None, mirror: "Mirror | None" = None) -> None:
        self.folder = folder
        self._keep = keep
        self._mirror = mirror

    def path(self, step: int) -> Path:
        """The folder of a step's checkpoint, whether it exists or not; Trainer expects this name."""
        return self.folder / f"checkpoint-{step}"

    def steps(self) -> list[int]:
        """The steps that have a local checkpoint, in order, verified or not."""
        return sorted(_steps(file.name for file in self.folder.glob("checkpoint-*")))

    @contextmanager
    def writing(self, step: int, best: int | None) -> Iterator[Path]:
        """A folder that becomes the checkpoint of `step` once the block has ended and all files are on disk.

        Raises:
            UserError: it could not be written; earlier ones are untouched.
        """
        try:
            with replacing(self.path(step)) as staging:
                yield staging
                seal = Seal(step=step, best=best, files=describe(staging, MANIFEST))
                (staging / MANIFEST).write_text(seal.model_dump_json(indent=2), encoding="utf-8")
        except (OSError, RuntimeError, SafetensorError) as error:  # each library reports a full disk in its own way
            free = shutil.disk_usage(self.folder).free / 1e6
            before = f"the one of step {self.steps()[-1]} is intact" if self.steps() else "there is no earlier one"
            raise UserError(
                f"the checkpoint of step {step} could not be written to {self.folder}, where {free:.0f} MB are free "
                f"({_first_line(error)}); {before}: free some space and run the same command again to resume"
            ) from None
        self._prune(best)
        if self._mirror is not None:
            self._mirror.push(self.path(step))

    def newest(self) -> Path | None:
        """The newest complete checkpoint, local or in storage; it and the best one are fetched if not local."""
        clean_up(self.folder)
        stored = self._mirror.steps() if self._mirror is not None else []
        for step in sorted({*self.steps(), *stored}, reverse=True):
            seal = self._completed(step)
            if seal is not None:
                if seal.best is not None and seal.best != step:
                    self._completed(seal.best)
                return self.path(step)
        return None

    def fetch(self, name: str) -> None:
        """Fetch the checkpoint that another machine resumes from; raises UserError if storage does not have it."""
        if self._completed(_steps([name])[0]) is None:
            raise UserError(
                f"{name} is on another machine: give a storage that all of them reach with "
                "paths.checkpoints=gs://BUCKET/PREFIX, or start over with train.resume=never"
            )

    def finish(self) -> None:
        """Wait until all copies are in storage; raises UserError if the newest copy failed."""
        if self._mirror is not None:
            self._mirror.finish()

    def discard(self) -> None:
        """Remove all checkpoints, local and in storage."""
        shutil.rmtree(self.folder, ignore_errors=True)
        if self._mirror is not None:
            for step in self._mirror.steps():
                self._mirror.remove(step)

    def _completed(self, step: int) -> Seal | None:
        """The seal of a checkpoint, fetched from storage if incomplete locally; None if incomplete there too."""
        path = self.path(step)
        if path.exists():
            seal, wrong = _read(path)
            if seal is not None and wrong is None:
                return seal
            log.warning("train: the checkpoint %s %s; it is skipped", path, wrong)
        if self._mirror is None or step not in self._mirror.steps():
            return None
        with replacing(path) as staging:
            self._mirror.fetch(step, staging)
        seal, wrong = _read(path)
        if seal is None or wrong is not None:
            log.warning("train: the checkpoint %s, copied from storage, %s; it is skipped", path, wrong)
            return None
        log.info("train: copied the checkpoint of step %d from storage", step)
        return seal

    def _prune(self, best: int | None) -> None:
        with self._mirror.paused() if self._mirror is not None else nullcontext() as copying:
            for step in set(self.steps()) - kept(self.steps(), self._keep, best):
                if step != copying:
                    shutil.rmtree(self.path(step), ignore_errors=True)


class Mirror:
    """Copies sealed checkpoints to `prefix` in storage, one at a time, in a background thread.

    A checkpoint that was pruned before its turn is skipped. The seal is copied last, so an incomplete copy has none.
    """

    def __init__(self, storage: Storage, prefix: str, keep: int | None) -> None:
        self._storage = storage
        self._prefix = prefix
        self._keep = keep
        self._changed = threading.Condition()
        self._queue: list[Path] = []
        self._copying: int | None = None
        self._failure: Exception | None = None
        self._thread: threading.Thread | None = None

    def steps(self) -> list[int]:
        """The steps whose checkpoint was copied completely."""
        keys = [key.removeprefix(f"{self._prefix}/") for key in self._storage.list(f"{self._prefix}/")]
        return sorted(_steps(key.removesuffix(f"/{MANIFEST}") for key in keys if key.endswith(f"/{MANIFEST}")))

    def fetch(self, step: int, folder: Path) -> None:
        """Copy a checkpoint from storage into an empty folder."""
        name = f"checkpoint-{step}"
        stored = self._storage.fetch(f"{self._prefix}/{name}", folder.parent / ".fetched")
        shutil.copytree(stored, folder, dirs_exist_ok=True)
        shutil.rmtree(folder.parent / ".fetched", ignore_errors=True)

    def push(self, checkpoint: Path) -> None:
        """Queue a sealed checkpoint for copying."""
        with self._changed:
            self._queue.append(checkpoint)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="mirror", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def finish(self) -> None:
        """Wait until the queue is empty; raises UserError if the newest copy failed."""
        with self._changed:
            while self._queue or self._copying is not None:
                self._changed.wait()
        if self._failure is not None:
            raise UserError(f"the checkpoints could not be copied to storage: {_first_line(self._failure)}")

    def remove(self, step: int) -> None:
        """Remove a copy; its seal first, so that an interrupted removal leaves an incomplete copy."""
        folder = f"{self._prefix}/checkpoint-{step}/"
        keys = self._storage.list(folder)
        self._storage.remove(sorted(keys, key=lambda key: key != f"{folder}{MANIFEST}"))

    @contextmanager
    def paused(self) -> Iterator[int | None]:
        """The step that is being copied, if any; no other copy starts inside the block."""
        with self._changed:
            yield self._copying

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._queue:
                    self._changed.wait()
                checkpoint = self._queue.pop(0)
                if not checkpoint.exists():
                    self._changed.notify_all()
                    continue
                self._copying = _steps([checkpoint.name])[0]
            failure = self._try_to_copy(checkpoint)
            with self._changed:
                self._failure, self._copying = failure, None
                self._changed.notify_all()

    def _try_to_copy(self, checkpoint: Path) -> Exception | None:
        for attempt in range(_ATTEMPTS):
            if attempt:
                time.sleep(_FIRST_BACKOFF * 2 ** (attempt - 1))
            try:
                self._copy(checkpoint)
            except Exception as error:  # a failed copy must not stop the training
                log.warning("train: %s is not in storage yet: %s", checkpoint.name, _first_line(error))
                failure = error
            else:
                return None
        return failure

    def _copy(self, checkpoint: Path) -> None:
        seal = (checkpoint / MANIFEST).read_bytes()
        manifest = Seal.model_validate_json(seal)
        folder = f"{self._prefix}/{checkpoint.name}"
        self._storage.upload(checkpoint, folder, manifest.files)
        self._storage.write(f"{folder}/{MANIFEST}", seal)
        stored = self.steps()
        for step in set(stored) - kept(stored, self._keep, manifest.best):
            self.remove(step)


def kept(steps: Sequence[int], keep: int | None, best: int | None) -> set[int]:
    """The steps to keep: the last `keep` (None: all) and the best."""
    last = sorted(steps)[-keep:] if keep is not None else steps
    return {*last, *([best] if best is not None else [])}


def _read(path: Path) -> tuple[Seal | None, str | None]:
    """The seal, and what is wrong with the checkpoint, if anything."""
    try:
        seal = Seal.model_validate(json.loads((path / MANIFEST).read_bytes()))
        return seal, difference(path, MANIFEST, seal.files)
    except FileNotFoundError:
        return None, f"is incomplete: it has no {MANIFEST}"
    except (OSError, ValueError, ValidationError) as error:
        return None, f"is incomplete: {_first_line(error)}"


def _steps(names: "Iterator[str] | Sequence[str]") -> list[int]:
    return [int(match[1]) for match in map(_NAME.fullmatch, names) if match]


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
