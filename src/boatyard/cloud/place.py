"""The project, region and resource names on Google Cloud, shared by training, serving and checks."""

import re
from dataclasses import dataclass
from typing import Literal, get_args

from boatyard.config.errors import UserError
from boatyard.config.schema import Config, Environment

Role = Literal["train", "run", "build"]
Account = Literal["train", "run", "build", "check", "release"]
"""With those that the workflows on GitHub run as (docs/automation.md)."""
ROLES: tuple[Role, ...] = ("train", "run", "build")
ACCOUNTS: tuple[Account, ...] = (*ROLES, "check", "release")
SERVICES = (
    "api",
    "monitor",  # part: monitor
    "frontend",  # part: frontend
)
"""The services on Cloud Run, in the order of deployment: each has a file in deploy/run/ and an image of its name."""
ENVIRONMENTS: tuple[Environment, ...] = get_args(Environment)

# what the storage may be called: it is part of commands that are printed for a shell
_STORAGE = re.compile(r"gs://[a-z0-9][a-z0-9._-]{1,220}[a-z0-9](/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")


@dataclass(frozen=True)
class Place:
    """A project, the region of all its resources, and the storage."""

    project: str
    region: str
    repository: str
    storage: str
    """gs://BUCKET or gs://BUCKET/PREFIX."""
    environment: Environment = "production"

    @property
    def bucket(self) -> str:
        """The bucket's name."""
        return self.storage.removeprefix("gs://").partition("/")[0]

    @property
    def prefix(self) -> str:
        """What the names of the storage's objects begin with: PREFIX/, or nothing."""
        return f"{self.storage}/".removeprefix(f"gs://{self.bucket}/")

    @property
    def served_storage(self) -> str:
        """Where the services keep their journal, jobs and reports: those of staging are no one else's."""
        return self.storage if self.environment == "production" else f"{self.storage}/{self.environment}"

    @property
    def keys_secret(self) -> str:
        """The name of the secret with the API keys of the services."""
        return f"{self.service('api')}-keys"

    def service(self, service: str) -> str:
        """The name on Cloud Run of one of SERVICES."""
        return f"boatyard-{service}" if self.environment == "production" else f"boatyard-{self.environment}-{service}"

    def account(self, role: Account) -> str:
        """The email address of the service account for this role."""
        return f"boatyard-{role}@{self.project}.iam.gserviceaccount.com"

    def image(self, name: str, tag: str) -> str:
        """The address of an image in Artifact Registry."""
        return f"{self.region}-docker.pkg.dev/{self.project}/{self.repository}/{name}:{tag}"


def place(config: Config) -> Place:
    """Raises UserError: the project or the bucket is not set, or that is no name of a bucket."""
    cloud = config.cloud
    if cloud.project is None:
        raise UserError("no project is named: set GOOGLE_CLOUD_PROJECT or cloud.project=PROJECT")
    if not config.paths.storage.startswith("gs://"):
        raise UserError("no bucket is named: set BOATYARD_STORAGE=gs://BUCKET/PREFIX or paths.storage=...")
    storage = config.paths.storage.rstrip("/")
    if not _STORAGE.fullmatch(storage):
        raise UserError(f"storage {storage!r} is not gs://BUCKET/PREFIX, of letters, digits, '.', '_' and '-'")
    return Place(cloud.project, cloud.region, cloud.repository, storage, cloud.environment)
