"""Where on Google Cloud: the project and its names, the same for training, serving and checks."""

from dataclasses import dataclass
from typing import Literal

from boatyard.config.errors import UserError
from boatyard.config.schema import Config

Role = Literal["train", "run", "build"]
ROLES: tuple[Role, ...] = ("train", "run", "build")
SERVICES = ("api", "monitor", "frontend")
"""What Cloud Run serves, in the order of deployment: each is a file in deploy/run/ and an image of that name."""


@dataclass(frozen=True)
class Place:
    """A project, the region where all of it lies, and the storage."""

    project: str
    region: str
    repository: str
    storage: str
    """gs://BUCKET or gs://BUCKET/PREFIX."""

    @property
    def bucket(self) -> str:
        """Its name."""
        return self.storage.removeprefix("gs://").partition("/")[0]

    def account(self, role: Role) -> str:
        """The service account that trains, runs or builds."""
        return f"boatyard-{role}@{self.project}.iam.gserviceaccount.com"

    def image(self, name: str, tag: str) -> str:
        """An image in Artifact Registry."""
        return f"{self.region}-docker.pkg.dev/{self.project}/{self.repository}/{name}:{tag}"


def place(config: Config) -> Place:
    """Raises UserError: the project or the bucket is not named."""
    cloud = config.cloud
    if cloud.project is None:
        raise UserError("no project is named: set GOOGLE_CLOUD_PROJECT, or give cloud.project=PROJECT")
    if not config.paths.storage.startswith("gs://"):
        raise UserError("no bucket is named: set BOATYARD_STORAGE=gs://BUCKET/PREFIX, or give paths.storage=...")
    return Place(cloud.project, cloud.region, cloud.repository, config.paths.storage.rstrip("/"))
