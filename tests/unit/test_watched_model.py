"""The pages about the monitor name the model that it watches, and say so where the api serves another."""

from collections.abc import Iterator

import pytest
from standin_services import Services, content, open_page, running
from test_waiting_pages import NOTHING

from boatyard.api.metrics import Metrics
from boatyard.frontend.services import Trouble, addresses
from boatyard.frontend.watched import advised

pytestmark = pytest.mark.unit


@pytest.fixture
def services() -> Iterator[Services]:
    """The api serves hires."""
    made = Services()
    aliases = {"staging": "v2", "production": "v2"}
    made.answers = {
        "/metrics": Metrics().page(),
        "/model": {"name": "hires", "version": "v2"},
        "/models": {"models": [{"name": "hires", "versions": ["v2", "v1"], "aliases": aliases}]},
    }
    with running(made):
        yield made


@pytest.mark.parametrize("page", ["drift", "traffic"])
def test_figures_of_another_model_than_the_served_one_are_said_to_be_so(services: Services, page: str) -> None:
    services.answers["/statistics"] = {**NOTHING, "model": "inbox"}
    text = content(open_page(page))
    assert "The monitor watches inbox, but the api serves hires" in text
    assert "`uv run invoke monitor --model hires@production`" in text


@pytest.mark.parametrize("page", ["drift", "traffic"])
def test_nothing_is_said_of_another_where_the_monitor_watches_the_served_one(services: Services, page: str) -> None:
    services.answers["/statistics"] = {**NOTHING, "model": "hires"}
    assert "The monitor watches" not in content(open_page(page))


def test_the_journals_half_names_its_model(services: Services) -> None:
    services.answers["/statistics"] = {**NOTHING, "model": "hires"}
    assert "All servers, by the journal: hires" in content(open_page("traffic"))


def test_a_monitor_that_is_down_is_to_be_started_for_the_served_model(services: Services) -> None:
    api, monitor = addresses()
    assert advised(Trouble("down", monitor), api).service.start == "invoke monitor --model hires@production"
    services.answers["/model"] = {"name": "hires", "version": "v1"}
    assert advised(Trouble("down", monitor), api).service.start == "invoke monitor --model hires@v1"


def test_without_an_api_the_advice_stays_general(services: Services) -> None:
    del services.answers["/model"]
    api, monitor = addresses()
    assert advised(Trouble("down", monitor), api).service.start == "invoke monitor"
