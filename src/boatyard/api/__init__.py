"""The HTTP API. `uvicorn boatyard.api:app` serves it; importing the package builds no app and loads no model."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from boatyard.api.application import Application, app

__all__ = ["Application", "app"]


def __getattr__(name: str) -> object:
    """Built on first use, since other modules here are imported without it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from boatyard.api import application

    return getattr(application, name)
