"""The models in memory: the default one, and a few that requests named."""

import asyncio
import logging
import time
from collections import OrderedDict
from pathlib import Path

import anyio
from anyio import to_thread

from boatyard.api.metrics import Metrics
from boatyard.errors import UserError
from boatyard.predict import Predictor, open_predictor
from boatyard.registry import Reference, UnknownModel, fetch, resolve
from boatyard.storage import Storage

NAMED_MODELS = 4
RETRY_SECONDS = 10

logger = logging.getLogger(__name__)


class ModelUnavailable(UserError):  # noqa: N818 - says what happened
    """The model is there, or ought to be, and cannot be loaded."""


class Models:
    """Finds, loads and keeps models; what an alias means is asked anew every `watch_seconds`."""

    def __init__(
        self, storage: Storage, default: Reference, cache: Path, metrics: Metrics, watch_seconds: float = 1.0
    ) -> None:
        self.default: Predictor | None = None
        self._default_reference = default
        self._storage = storage
        self._cache = cache
        self._metrics = metrics
        self._watch_seconds = watch_seconds
        self._loaded: OrderedDict[Reference, Predictor] = OrderedDict()  # by exact version, oldest use first
        self._meant: dict[Reference, tuple[float, Reference]] = {}  # when an alias was asked, and its version
        self._failed: dict[Reference, tuple[float, str]] = {}  # when, and why
        self._loading = anyio.Lock()  # one at a time, which bounds the memory that loading takes
        self._complaint = f"model {default} is not loaded yet"

    async def get(self, reference: Reference) -> Predictor:
        """The model that the reference means now. Raises UnknownModel or ModelUnavailable."""
        asked, exact = self._meant.get(reference, (-self._watch_seconds, None))
        if exact is None or time.monotonic() - asked >= self._watch_seconds:
            try:
                version = await to_thread.run_sync(resolve, self._storage, reference)
            except UnknownModel:
                raise
            except (UserError, OSError) as failed:
                raise ModelUnavailable(f"model {reference} cannot be found: {failed}") from failed
            exact = Reference(reference.name, version)
            self._remember(reference, exact)
        return await self._get_exact(exact)

    def get_default(self) -> Predictor:
        """The default model: the version last loaded while its newest cannot be. Raises ModelUnavailable."""
        if self.default is None:
            raise ModelUnavailable(self._complaint)
        return self.default

    async def follow_default(self) -> None:
        """Load what the default means now, beside the one that serves; where that fails, the old one goes on."""
        try:
            newest = await self.get(self._default_reference)
        except (UnknownModel, ModelUnavailable) as why:
            self._metrics.default_failed.set(1)
            if str(why) != self._complaint:  # once, not every second
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
            except Exception:  # whatever it was, it may be gone in a second
                logger.exception("the default model could not be looked for")

    def _remember(self, reference: Reference, exact: Reference) -> None:
        if len(self._meant) > 1000:  # each was found in the registry, and yet there is no end of versions
            self._meant.clear()
        self._meant[reference] = time.monotonic(), exact

    async def _get_exact(self, exact: Reference) -> Predictor:
        if exact not in self._loaded:
            async with self._loading:
                if exact not in self._loaded:  # nor loaded while this request waited
                    await self._load(exact)
        self._loaded.move_to_end(exact)
        return self._loaded[exact]

    async def _load(self, exact: Reference) -> None:
        if exact in self._failed:
            failed_at, failure = self._failed[exact]
            if time.monotonic() - failed_at < RETRY_SECONDS:
                raise ModelUnavailable(failure)
        try:
            predictor = await to_thread.run_sync(self._open, exact)
        except Exception as why:  # whatever a broken bundle brings about, the server goes on
            failure = f"model {exact} cannot be loaded: {why}"
            self._failed[exact] = time.monotonic(), failure
            logger.error("%s", failure, exc_info=None if isinstance(why, UserError) else why)
            raise ModelUnavailable(failure) from why
        self._failed.pop(exact, None)
        self._loaded[exact] = predictor
        self._metrics.loaded(predictor.manifest)
        logger.info("loaded %s", exact)
        self._make_room()

    def _open(self, exact: Reference) -> Predictor:
        # a thread for each: the batcher has as many run at once as there are cores
        return open_predictor(fetch(self._storage, exact, self._cache), threads=1)

    def _make_room(self) -> None:
        named = [exact for exact, predictor in self._loaded.items() if predictor is not self.default]
        for exact in named[:-NAMED_MODELS]:
            self._metrics.unloaded(self._loaded.pop(exact).manifest)
