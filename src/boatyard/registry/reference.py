"""References to a version of a model, and the keys of its files in the storage."""

from dataclasses import dataclass

from boatyard.bundle.manifest import NAME, VERSION
from boatyard.config.errors import UserError

ROOT = "models/"
DEFAULT_ALIAS = "production"
REFERENCE = f"{NAME.pattern}(@({VERSION.pattern}|{NAME.pattern}))?"


class UnknownModel(UserError):  # noqa: N818 - says what happened
    """No such name, alias or version is published."""


@dataclass(frozen=True)
class Reference:
    """A model's name, and an alias or a version. The two are never ambiguous."""

    name: str
    selector: str = DEFAULT_ALIAS

    def __post_init__(self) -> None:
        checked(self.name, "a model name")
        if not VERSION.fullmatch(self.selector):
            checked(self.selector, "an alias or version")

    def __str__(self) -> str:
        return f"{self.name}@{self.selector}"


def parse_reference(text: str) -> Reference:
    """Parse `inbox`, `inbox@staging` or `inbox@20260102T030405Z-0a1b2c3d`. Raises UserError."""
    name, at, selector = text.partition("@")
    return Reference(name, selector) if at else Reference(name)


def checked(name: str, what: str) -> str:
    """The name, if it is valid. Raises UserError, which says `what` it should be."""
    if not NAME.fullmatch(name):
        raise UserError(f"{name[:80]!r} is not {what}: up to 64 of a-z, 0-9, '-' and '_', the first a letter or digit")
    return name


def exact(name: str, version: str) -> Reference:
    """A reference to a version rather than an alias. Raises UserError."""
    if not VERSION.fullmatch(version):
        raise UserError(f"{version!r} is not a version: it reads like 20260102T030405Z-0a1b2c3d")
    return Reference(name, version)


def home(name: str, version: str) -> str:
    """The prefix of the version's files in the storage."""
    return f"{ROOT}{checked(name, 'a model name')}/{version}"
