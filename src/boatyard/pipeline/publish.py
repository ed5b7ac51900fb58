"""A bundle into the registry, and the alias on to it unless what stands there is better."""

import logging
from dataclasses import dataclass
from pathlib import Path

from boatyard.bundle.manifest import Bundle, Manifest
from boatyard.bundle.predict import Predictor, open_predictor
from boatyard.config.schema import Config
from boatyard.data.prepare import Prepared
from boatyard.evaluate.run import SPLIT
from boatyard.evaluate.served import difference, served_score
from boatyard.registry import AliasMoved, Reference, aliases, fetch, promote, publish
from boatyard.storage import Storage, open_storage
from boatyard.train.tracking import record_bundle

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Published:
    """What lies in the registry now; `refusal` says why the alias was left where it was, if it was."""

    bundle: Bundle
    reference: Reference
    refusal: str | None


def publish_bundle(config: Config, prepared: Prepared, bundle: Bundle) -> Published:
    """Publish what can be served, and promote what is not worse than the version that the alias has now.

    Raises:
        BundleError: no server could answer with it; nothing is published.
    """
    open_predictor(bundle)
    storage = open_storage(config.paths.storage)
    manifest = publish(storage, bundle.folder)
    if config.tracking.log_bundle:
        record_bundle(manifest.name, manifest.version, bundle.folder)
    reference = Reference(manifest.name, manifest.version)
    stored = fetch(storage, reference, Path(config.paths.runs, "fetched"))
    alias = config.publish.alias
    if alias is None:
        return Published(stored, reference, "publish.alias is null")
    current = aliases(storage, manifest.name).get(alias)
    refusal = None if current is None else _better_already(config, storage, prepared, manifest, current)
    if refusal is None:
        try:
            promote(storage, manifest.name, manifest.version, alias, expected=current)
        except AliasMoved as moved:
            refusal = f"{moved}; `invoke promote {manifest.name} {manifest.version}` moves it all the same"
    if refusal is not None:
        log.warning("publish: %s stays where it is: %s", alias, refusal)
        return Published(stored, reference, refusal)
    if current == manifest.version:
        log.info("publish: done already (%s)", stored.folder)
    else:
        log.info("publish: %s@%s is now %s", manifest.name, alias, manifest.version)
    return Published(stored, Reference(manifest.name, alias), None)


def _better_already(
    config: Config, storage: Storage, prepared: Prepared, manifest: Manifest, current: str
) -> str | None:
    """Why the current version should stay: it answers the same test rows better. None if it does not."""
    if current == manifest.version:
        return None
    all_the_same = f"`invoke promote {manifest.name} {manifest.version}` moves it all the same"
    predictor = Predictor(fetch(storage, Reference(manifest.name, current), Path(config.paths.runs, "fetched")))
    if why := difference(predictor.manifest, manifest):
        return f"it {why}; {all_the_same}"
    before, after = served_score(predictor, config, prepared, SPLIT), manifest.metrics.served[0]
    if not before.is_better_than(after):
        return None
    return (
        f"its {before.title} is {before.shown} on the same test rows, the new version's {after.shown}; {all_the_same}"
    )
