"""Users of the service, for Locust:  uv run invoke load-test  (or with --page, to control it in a browser)

Each sends rows of a CSV file with pauses in between, sometimes several at once, and sometimes feedback. A 503 with
Retry-After is not a failure: the user waits as long as it says.
"""

import csv
import os
import random
from argparse import ArgumentParser
from typing import Any

import gevent
from locust import FastHttpUser, between, events, task
from locust.env import Environment
from locust.exception import StopUser

ROWS: list[dict[str, str]] = []


@events.init_command_line_parser.add_listener
def _options(parser: ArgumentParser) -> None:
    parser.add_argument("--rows", default="data/raw/inbox.csv", help="a CSV file with the model's fields as columns")
    parser.add_argument("--target", default="label", help="a column of --rows, for feedback; may be missing")


@events.init.add_listener
def _read(environment: Environment, **_: Any) -> None:
    path = environment.parsed_options.rows
    with open(path, encoding="utf-8", newline="") as file:  # noqa: PTH123
        ROWS.extend(csv.DictReader(file))
    if not ROWS:
        raise SystemExit(f"load-test: {path} has no rows")


class Customer(FastHttpUser):
    """A user who sends a request, reads the answer, and sends the next."""

    wait_time = between(0.1, 1.0)

    def on_start(self) -> None:
        """Reads the names of the fields from the server."""
        if key := os.environ.get("BOATYARD_API_KEY"):
            self.client.default_headers = {"X-API-Key": key}
        with self.client.get("/model", catch_response=True) as answer:
            if answer.status_code != 200:
                answer.failure(
                    f"/model returned {answer.status_code}: is the server ready, and BOATYARD_API_KEY right?"
                )
                raise StopUser
            card = answer.json()
        self._fields: list[str] = card["request_schema"]["required"]
        (self._truth,) = card["truth_schema"]["required"]
        self._is_number = card["truth_schema"].get("properties", {}).get(self._truth, {}).get("type") == "number"
        if missing := set(self._fields) - ROWS[0].keys():
            raise SystemExit(f"load-test: --rows has no column {', '.join(sorted(missing))}, which the model reads")
        self._target = self.environment.parsed_options.target

    @task(20)
    def predict(self) -> None:
        """One row; one time in ten, feedback on the answer."""
        row = random.choice(ROWS)  # noqa: S311
        answer = self._post("/predict", self._input(row))
        if answer is not None and row.get(self._target) and random.random() < 0.1:  # noqa: S311
            right = row[self._target]
            self._post("/feedback", {"id": answer["id"], self._truth: float(right) if self._is_number else right})

    @task(1)
    def predict_ten(self) -> None:
        """A list of ten rows."""
        self._post("/predict", {"inputs": [self._input(row) for row in random.choices(ROWS, k=10)]}, "/predict (10)")  # noqa: S311

    def _input(self, row: dict[str, str]) -> dict[str, str]:
        return {field: row[field] for field in self._fields}

    def _post(self, path: str, body: dict[str, Any], name: str | None = None) -> dict[str, Any] | None:
        with self.client.post(path, json=body, name=name or path, catch_response=True) as answer:
            if answer.status_code == 503 and (delay := answer.headers.get("retry-after")):
                answer.request_meta["name"] += ", refused"
                answer.success()
                gevent.sleep(min(float(delay), 5.0))
                return None
            if answer.status_code not in (200, 202, 204):
                answer.failure(f"{answer.status_code} {answer.text[:200]}")
                return None
            return answer.json() if answer.text else {}
