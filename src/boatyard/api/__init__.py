"""The HTTP API. `uvicorn boatyard.api:app` serves it; importing it loads no model."""

from boatyard.api.app import app, create_app

__all__ = ["app", "create_app"]
