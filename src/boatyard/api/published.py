"""The registry over HTTP: cards, documents of a bundle, and moving an alias."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated

from fastapi import Path, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from boatyard import registry
from boatyard.api.problems import Problem
from boatyard.bundle.manifest import NAME, VERSION, BundleError, Card
from boatyard.bundle.map import MAP, Map
from boatyard.config.errors import UserError
from boatyard.registry import ANYWHERE, Alias, Expected, UnknownModel
from boatyard.storage import NotFound, Storage

Name = Annotated[str, Path(pattern=f"^{NAME.pattern}$")]
Version = Annotated[str, Path(pattern=f"^{VERSION.pattern}$")]
From = Annotated[str | None, Query(pattern=f"^{VERSION.pattern}$", description="move it only from there")]
_PICTURE = r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}\.png"
Document = Annotated[str, Path(pattern=rf"^(MODEL_CARD\.md|data\.json|metrics\.json|{_PICTURE})$")]
"""The files of a bundle that people read: three documents, and the pictures."""

TYPES: Mapping[str, str] = {"md": "text/markdown", "png": "image/png", "json": "application/json"}
"""Media types by a document's suffix."""

logger = logging.getLogger(__name__)


class Promotion(BaseModel):
    """The version that an alias should point at."""

    model_config = ConfigDict(extra="forbid", strict=True)

    version: str = Field(pattern=f"^{VERSION.pattern}$")
    expected: str | None = Field(
        default=None, pattern=f"^{VERSION.pattern}$", description="move it only from there; null: only a new alias"
    )

    def expects(self) -> Expected:
        """Without the field, the alias moves from anywhere."""
        return self.expected if "expected" in self.model_fields_set else ANYWHERE


def card(storage: Storage, name: str, version: str) -> Card:
    """Any version's manifest; the route's return type limits it to the card. Raises Problem."""
    with _as_problems():
        return registry.read_manifest(storage, name, version)


def model_map(storage: Storage, name: str, version: str) -> Map:
    """The map of a version that has one. Raises Problem."""
    with _as_problems():
        return Map.model_validate_json(registry.read_file(storage, name, version, MAP))


def document(storage: Storage, name: str, version: str, document: str) -> Response:
    """A published file that the version's manifest names. Raises Problem."""
    with _as_problems():
        content = registry.read_file(storage, name, version, document)
    # a published version never changes
    headers = {"cache-control": "private, max-age=86400, immutable", "x-content-type-options": "nosniff"}
    return Response(content, headers=headers, media_type=TYPES[document.rpartition(".")[2]])


def promote(storage: Storage, name: str, promotion: Promotion, alias: str, by: str) -> Alias:
    """`by`: the name of the caller's key. Raises Problem."""
    with _as_problems():
        moved = registry.promote(storage, name, promotion.version, alias, expected=promotion.expects())
    logger.info("%s has promoted: %s@%s is %s", by, name, alias, moved.version)
    return moved


def rollback(storage: Storage, name: str, alias: str, expected: str | None, by: str) -> Alias:
    """`by`: the name of the caller's key. Raises Problem."""
    with _as_problems():
        moved = registry.rollback(storage, name, alias, expected=expected or ANYWHERE)
    logger.info("%s has rolled back: %s@%s is %s", by, name, alias, moved.version)
    return moved


@contextmanager
def _as_problems() -> Iterator[None]:
    try:
        yield
    except OSError:  # storage errors are UserErrors too, and handled by the app
        raise
    except (UnknownModel, NotFound) as why:
        raise Problem(404, str(why)) from None
    except BundleError as why:
        raise Problem(503, str(why)) from None
    except UserError as why:  # the alias moved meanwhile, or there is nothing to go back to
        raise Problem(409, str(why)) from None
