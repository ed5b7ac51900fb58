"""The project, region and resource names on Google Cloud, shared by training, serving and checks."""

from dataclasses import dataclass
from typing import Literal

from boatyard.config.errors import UserError
from boatyard.config.schema import Config

Role = Literal["train", "run", "build"]
Account = Literal["train", "run", "build", "check", "release"]
"""With those that the workflows on GitHub run as (docs/automation.md)."""
ROLES: tuple[Role, ...] = ("train", "run", "build")
ACCOUNTS: tuple[Account, ...] = (*ROLES, "check", "release")
SERVICES = ("api", "monitor", "frontend")
"""The services on Cloud Run, in the order of deployment: each has a file in deploy/run/ and an image of its name."""


@dataclass(frozen=True)
class Place:
    """A project, the region of all its resources, and the storage."""

    project: str
    region: str
    repository: str
    storage: str
    """gs://BUCKET or gs://BUCKET/PREFIX."""

    @property
    def bucket(self) -> str:
        """The bucket's name."""
        return self.storage.removeprefix("gs://").partition("/")[0]

    def account(self, role: Account) -> str:
        """The email address of the service account for this role."""
        return f"boatyard-{role}@{self.project}.iam.gserviceaccount.com"

    def image(self, name: str, tag: str) -> str:
        """The address of an image in Artifact Registry."""
        return f"{self.region}-docker.pkg.dev/{self.project}/{self.repository}/{name}:{tag}"


def place(config: Config) -> Place:
    """Raises UserError: the project or the bucket is not set."""
    cloud = config.cloud
    if cloud.project is None:
        raise UserError("no project is named: set GOOGLE_CLOUD_PROJECT or cloud.project=PROJECT")
    if not config.paths.storage.startswith("gs://"):
        raise UserError("no bucket is named: set BOATYARD_STORAGE=gs://BUCKET/PREFIX or paths.storage=...")
    return Place(cloud.project, cloud.region, cloud.repository, config.paths.storage.rstrip("/"))
