"""The form of every error of the API."""

import re
from typing import Any

import httpx


def assert_problem(response: httpx.Response, status: int, detail: str = "") -> dict[str, Any]:
    """It is an RFC 9457 document of this status, whose detail matches the pattern `detail`."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = response.json()
    assert document["type"] == "about:blank"
    assert document["title"]
    assert document["status"] == status
    assert re.search(detail, document["detail"])
    return document
