"""`/docs` of a server in a browser that reaches nothing but that server."""

from collections.abc import Callable

import pytest
from frontends import Stack
from playwright.sync_api import Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_the_operations_can_be_tried_without_another_host(stack: Stack, visit: Callable[..., Page]) -> None:
    page = visit(f"{stack.api.url}/docs")
    expect(page.locator("#operations-default-predict")).to_contain_text("/predict")
    page.locator("#operations-default-predict").click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute").click()
    expect(page.locator(".live-responses-table")).to_contain_text('"label"')
    loaded = page.evaluate("performance.getEntriesByType('resource').map(entry => entry.name)")
    assert len(loaded) > 3
    assert not [address for address in loaded if not address.startswith((stack.api.url, "data:"))]
