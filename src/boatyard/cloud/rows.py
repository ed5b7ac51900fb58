"""The rows of a training job: copied to the bucket, where the job can read them."""

import logging
from collections.abc import Sequence
from pathlib import Path

from boatyard.cloud.place import Place
from boatyard.config.errors import UserError
from boatyard.config.schema import Config
from boatyard.data.sources import open_sources
from boatyard.storage import open_storage
from boatyard.storage.fingerprint import fingerprint

log = logging.getLogger(__name__)


class Rows:
    """The rows to train on. Local files get an address in the bucket, keyed by content."""

    def __init__(self, config: Config, where: Place) -> None:
        """Reads local files only. Raises UserError: the job could not reach the model or the rows."""
        source = config.data.path
        self.address: str | None = None
        """None if the job reads the source itself, from the Hub or a bucket."""
        if config.model.name is not None and Path(config.model.name).is_dir():
            raise UserError(
                f"model.name={config.model.name} is a folder of this machine, which no job can reach: "
                "name one that is on the Hub or in the image"
            )
        if source is None or source.startswith("gs://"):
            return
        sources = open_sources(config)
        path = Path(source)
        self._folder = path if path.is_dir() else path.parent
        self._key = f"data/{fingerprint(sorted((file.name, file.digest) for file in sources))}"
        self._names = [file.name for file in sources]
        self._storage = where.storage
        self.address = f"{where.storage}/{self._key}" + ("" if path.is_dir() else f"/{path.name}")

    def upload(self) -> None:
        """Copy the files that are not in the bucket yet."""
        if self.address is None:
            return
        storage = open_storage(self._storage)
        stored = {key.removeprefix(f"{self._key}/") for key in storage.list(f"{self._key}/")}
        if missing := [name for name in self._names if name not in stored]:
            storage.upload(self._folder, self._key, missing)
            log.info("copied the rows to %s", self.address)

    def override(self, overrides: Sequence[str]) -> list[str]:
        """The job's overrides: without those that concern this machine or the job itself, and with the new address."""
        kept = without_places(overrides)
        if self.address is None:
            return kept
        return [word for word in kept if not word.lstrip("+").startswith("data.path=")] + [f"data.path={self.address}"]


def without_places(overrides: Sequence[str]) -> list[str]:
    """Those that concern neither this machine nor the job itself."""
    return [word for word in overrides if not word.lstrip("+").startswith(("cloud.", "paths."))]
