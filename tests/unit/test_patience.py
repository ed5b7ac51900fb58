"""How long a request waits for its answer, on the event loop that serves."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest
from servers import run_as_served
from starlette.requests import ClientDisconnect

from boatyard.api import requests
from boatyard.api.problems import Problem
from boatyard.api.requests import with_deadline

pytestmark = pytest.mark.unit


class Client:
    """Says nothing more until it hangs up."""

    def __init__(self) -> None:
        self.hung_up = asyncio.Event()

    async def receive(self) -> dict[str, str]:
        await self.hung_up.wait()
        return {"type": "http.disconnect"}


def wait(client: Client, seconds: float, answer: "asyncio.Future[str] | None" = None) -> Awaitable[str]:
    never: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    return with_deadline(client.receive, answer or never, seconds)


def test_past_its_time_each_of_many_requests_gets_504_although_timers_fire_early() -> None:
    async def statuses() -> list[int]:
        budgets = [(1 + each % 60 / 10) / 1000 for each in range(400)]
        ended = await asyncio.gather(*(wait(Client(), budget) for budget in [*budgets, 0, -1]), return_exceptions=True)
        assert all(isinstance(problem, Problem) for problem in ended), ended
        return [cast(Problem, problem).document.status for problem in ended]

    assert set(run_as_served(statuses())) == {504}


def ends(how: Callable[[Client, "asyncio.Future[str]", "asyncio.Task[Any]"], object]) -> BaseException | None:
    """What a waiting request ends with."""

    async def run() -> BaseException | None:
        client, answer = Client(), asyncio.get_running_loop().create_future()
        waiting = asyncio.ensure_future(wait(client, 60, answer))
        await asyncio.sleep(0.01)
        how(client, answer, waiting)
        await asyncio.wait([waiting], timeout=10)
        assert answer.done()
        return asyncio.CancelledError() if waiting.cancelled() else waiting.exception()

    return run_as_served(run())


def test_why_no_answer_is_waited_for_any_more_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "LISTEN_AFTER_SECONDS", 0)
    assert isinstance(ends(lambda client, *_: client.hung_up.set()), ClientDisconnect)
    assert isinstance(ends(lambda _, __, waiting: waiting.cancel()), asyncio.CancelledError)
    assert isinstance(ends(lambda _, answer, __: answer.set_exception(OSError())), OSError)
    assert ends(lambda _, answer, __: answer.set_result("answered")) is None
