"""The server keeps to its own description, whatever it is asked: schemathesis makes up the requests."""

import hashlib
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import schemathesis
from bundles import publish_in_production
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import BaseSchema, Case, GenerationMode
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance
from starlette.testclient import TestClient

from boatyard.api import Application
from boatyard.api.jobs import routes
from boatyard.api.settings import Settings
from boatyard.registry import Reference

pytestmark = [pytest.mark.integration, pytest.mark.slow]

ADMIN_KEY = "an-admin-key"
EXAMPLES = 200  # of each operation in each mode
EXCLUDED: dict[str, list[Any]] = {
    "/jobs": [negative_data_rejection],  # any text is taken; what is wrong with a row, its line of the result says
    "/feedback": [positive_data_acceptance],  # an id may look like one and be of no answer
}


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BaseSchema]:
    root = tmp_path_factory.mktemp("described")
    publish_in_production(root)
    settings = Settings(
        storage=str(root / "storage"),
        model=Reference("ferry"),
        spool=str(root / "spool"),
        admin_keys=(f"tester:{hashlib.sha256(ADMIN_KEY.encode()).hexdigest()}",),
        requests_per_second=9_999,
    )
    app = Application(settings)
    with pytest.MonkeyPatch.context() as patched, TestClient(app):
        patched.setattr(routes, "MOST_OPEN", 10**6)  # each is a case of its own here
        yield schemathesis.openapi.from_asgi("/openapi.json", app)


@pytest.mark.no_cover  # it would take twice as long, over lines that other tests cover
def test_no_request_gets_an_answer_that_is_not_described(described: BaseSchema) -> None:
    asked: Counter[str] = Counter()
    for operation in (found.ok() for found in described.get_all_operations()):
        for mode in GenerationMode:

            @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
            @given(case=operation.as_strategy(generation_mode=mode))
            def ask(case: Case) -> None:
                asked[f"{case.method} {case.path}"] += 1
                if "/aliases/" in case.path and asked.total() % 10:  # else as whoever asks without one
                    case.headers["X-API-Key"] = ADMIN_KEY
                answer = case.call()
                if answer.status_code == 504:  # the one server error that a client may ask for
                    assert int(case.headers["X-Request-Timeout-Ms"]) < 1000
                else:
                    case.validate_response(answer, excluded_checks=EXCLUDED.get(case.path, []))

            with suppress(Unsatisfiable):  # nothing can be wrong about a request without parameters
                ask()
    assert asked.keys() >= {
        "POST /predict",
        "POST /feedback",
        "POST /jobs",
        "GET /jobs/{job}/result",
        "POST /models/{name}/aliases/{alias}",
    }
    assert asked.total() >= 2000
