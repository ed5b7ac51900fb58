"""Score on Vertex AI: a job of the trainer's image whose machines form a Ray cluster."""

from collections.abc import Sequence

from boatyard.cloud import vertex
from boatyard.cloud.place import place
from boatyard.cloud.rows import without_places
from boatyard.config.errors import UserError
from boatyard.config.schema import Config, Job
from boatyard.registry import parse_reference, resolve
from boatyard.storage import open_storage

COMMAND = ("python", "-m", "boatyard.cloud.replica")


def score(config: Config, overrides: Sequence[str], dry_run: bool, detach: bool) -> None:
    """Submit a job and follow it until it ends, as `vertex.train`; it scores with the version that there is now."""
    where = place(config)
    for key in ("rows", "out"):
        path = getattr(config.score, key)
        if path is None or not path.startswith("gs://"):
            raise UserError(f"score.{key}={path}: a job can only reach a bucket: name gs://BUCKET/PATH")
    reference = parse_reference(config.score.model or config.data.name)
    version = reference.selector if dry_run else resolve(open_storage(where.storage), reference)
    there = [*without_places(overrides), f"score.model={reference.name}@{version}"]
    machines = Job(**config.cloud.score.model_dump(), gpu=None, gpus=1, hub_login=False)
    tracking = config.tracking.model_copy(update={"mode": "disabled"})
    cloud = config.cloud.model_copy(update={"train": machines})
    data = config.data.model_copy(update={"name": reference.name})
    job = config.model_copy(update={"cloud": cloud, "data": data, "tracking": tracking})
    vertex.start(job, where, there, f"score-{reference.name}", dry_run, detach, COMMAND)
