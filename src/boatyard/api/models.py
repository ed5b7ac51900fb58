"""The models in memory: the default one, and the last few that requests named."""

import asyncio
import logging
import time
from collections import OrderedDict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import anyio
from anyio import to_thread

from boatyard.api.metrics import Metrics
from boatyard.bundle.predict import Predictor, open_predictor, served_files
from boatyard.config.errors import UserError
from boatyard.registry import Reference, UnknownModel, fetch, resolve
from boatyard.storage import Storage

NAMED_MODELS = 4
RETRY_SECONDS = 10  # doubled after each further failure
MOST_RETRY_SECONDS = 300
MOST_REMEMBERED = 1000

logger = logging.getLogger(__name__)


class ModelUnavailable(UserError):  # noqa: N818 - says what happened
    """The model exists, or should, but cannot be loaded."""


class _Failure(NamedTuple):
    retry_at: float
    backoff: float
    why: str


class Models:
    """Resolves, loads and caches models; an alias is resolved again after `watch_seconds`.

    The cache is bounded, whatever clients request: a few models in memory, nothing on disk.
    """

    def __init__(self, storage: Storage, default: Reference, metrics: Metrics, watch_seconds: float = 1.0) -> None:
        self.default: Predictor | None = None
        self._default_reference = default
        self._storage = storage
        self._metrics = metrics
        self._watch_seconds = watch_seconds
        self._loaded: OrderedDict[Reference, Predictor] = OrderedDict()  # by exact version, oldest use first
        # when it was resolved, and to which exact version, or why there is none
        self._resolved: dict[Reference, tuple[float, Reference | str]] = {}
        self._failed: dict[Reference, _Failure] = {}
        self._loading = anyio.Lock()  # one at a time, which bounds the memory that loading takes
        self._complaint = f"model {default} is not loaded yet"

    async def get(self, reference: Reference) -> Predictor:
        """The model that the reference points at now. Raises UnknownModel or ModelUnavailable."""
        resolved_at, exact = self._resolved.get(reference, (0.0, None))
        if exact is None or time.monotonic() - resolved_at >= self._watch_seconds:
            return await self._get_newest(reference)
        if isinstance(exact, str):
            raise UnknownModel(exact)
        return await self._get_exact(exact)

    def get_default(self) -> Predictor:
        """The default model, or the last version that could be loaded. Raises ModelUnavailable."""
        if self.default is None:
            raise ModelUnavailable(self._complaint)
        return self.default

    async def follow_default(self) -> None:
        """Loads the version that the default points at now; if that fails, the current version continues to serve."""
        try:
            newest = await self._get_newest(self._default_reference)
        except (UnknownModel, ModelUnavailable) as why:
            self._metrics.default_failed.set(1)
            if str(why) != self._complaint:  # log it once, not every second
                logger.error("%s", why)
                self._complaint = str(why)
        else:
            self.default = newest
            self._metrics.default_failed.set(0)
            self._complaint = ""

    async def watch(self) -> None:
        """Follows the default until it is cancelled: a promotion needs no restart."""
        while True:
            await asyncio.sleep(self._watch_seconds)
            try:
                await self.follow_default()
            except Exception:  # retried in a second
                logger.exception("the default model could not be looked up")

    async def _get_newest(self, reference: Reference) -> Predictor:
        """Resolves the reference again, ignoring the cache."""
        try:
            version = await to_thread.run_sync(resolve, self._storage, reference)
        except UnknownModel as why:
            self._remember(reference, str(why))
            raise
        except (UserError, OSError) as failed:
            raise ModelUnavailable(f"model {reference} cannot be found: {failed}") from failed
        exact = Reference(reference.name, version)
        self._remember(reference, exact)
        return await self._get_exact(exact)

    def _remember(self, reference: Reference, exact: Reference | str) -> None:
        if len(self._resolved) >= MOST_REMEMBERED:
            self._resolved.clear()
        self._resolved[reference] = time.monotonic(), exact

    async def _get_exact(self, exact: Reference) -> Predictor:
        if exact not in self._loaded:
            async with self._loading:
                if exact not in self._loaded:  # another request may have loaded it first
                    await self._load(exact)
        self._loaded.move_to_end(exact)
        return self._loaded[exact]

    async def _load(self, exact: Reference) -> None:
        failed = self._failed.get(exact)
        if failed and time.monotonic() < failed.retry_at:
            raise ModelUnavailable(failed.why)
        try:
            predictor = await to_thread.run_sync(self._open, exact)
        except Exception as wrong:  # a broken bundle must not stop the server
            why = f"model {exact} cannot be loaded: {wrong}"
            backoff = min(2 * failed.backoff, MOST_RETRY_SECONDS) if failed else RETRY_SECONDS
            self._failed[exact] = _Failure(time.monotonic() + backoff, backoff, why)
            logger.error("%s", why, exc_info=None if isinstance(wrong, UserError) else wrong)
            raise ModelUnavailable(why) from wrong
        self._failed.pop(exact, None)
        self._loaded[exact] = predictor
        self._metrics.loaded(predictor.manifest)
        logger.info("loaded %s", exact)
        self._evict()

    def _open(self, exact: Reference) -> Predictor:
        with TemporaryDirectory(prefix="boatyard-") as folder:
            # one thread each: the batcher runs as many at once as there are cores
            return open_predictor(fetch(self._storage, exact, Path(folder), served_files), threads=1)

    def _evict(self) -> None:
        named = [exact for exact, predictor in self._loaded.items() if predictor is not self.default]
        for exact in named[:-NAMED_MODELS]:
            self._metrics.unloaded(self._loaded.pop(exact).manifest)
