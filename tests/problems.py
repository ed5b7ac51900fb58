"""What every error of the API must look like."""

import re
from typing import Any

import httpx


def assert_problem(response: httpx.Response, status: int, said: str = "") -> dict[str, Any]:
    """An RFC 9457 document of that status, whose detail says so."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = response.json()
    assert document["type"] == "about:blank"
    assert document["title"]
    assert document["status"] == status
    assert re.search(said, document["detail"])
    return document
