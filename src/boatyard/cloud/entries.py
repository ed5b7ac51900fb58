"""Entries of Cloud Logging, read page by page."""

from collections.abc import Iterator
from typing import Any

from requests import Session

from boatyard.cloud.rest import Api


def read_entries(session: Session, project: str, query: str, order: str, page_size: int) -> Iterator[dict[str, Any]]:
    """Entries that match `query`, fetched page by page. `order`: asc or desc, by time. Raises ApiError."""
    api = Api(session, "logging")
    body = {
        "resourceNames": [f"projects/{project}"],
        "filter": query,
        "orderBy": f"timestamp {order}",
        "pageSize": page_size,
    }
    token = None
    while True:
        page = api.post("v2/entries:list", {**body, **({"pageToken": token} if token else {})})
        yield from page.get("entries", [])
        if not (token := page.get("nextPageToken")):
            return
