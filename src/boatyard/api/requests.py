"""Parses request bodies into a model's rows. Errors become problems."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any, TypeVar
from urllib.parse import quote

from anyio import CapacityLimiter, to_thread
from fastapi import Request
from pydantic import BaseModel, ValidationError
from pydantic_core import from_json
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import Receive

from boatyard.api.batching import QueueFull
from boatyard.api.forms import FORM, read_file
from boatyard.api.problems import Fault, Problem
from boatyard.bundle.predict import MOST_BYTES, Predictor
from boatyard.inputs.protocol import InvalidInput, OpenInput

JSON = "application/json"
MOST_INPUTS = 256
MOST_UNPARSED = 256  # requests that wait for a thread
LISTEN_AFTER_SECONDS = 0.02  # for disconnects: most requests are answered sooner
BODY_SECONDS = 30.0
PAUSE_SECONDS = 30.0  # between two chunks of a file; the whole upload may take longer

_Answer = TypeVar("_Answer")
_Model = TypeVar("_Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Question:
    """A prediction request: the inputs as sent, the model's rows for them, and whether they were sent as a list."""

    inputs: list[Any]
    rows: list[Any]
    listed: bool


async def read_json(request: Request) -> object:
    """The decoded body. NaN, and nesting of more than 200 levels, are not accepted as JSON."""
    media_type(request.headers, [JSON])
    return _decode(await _read_in_time(request.headers, request.receive, MOST_BYTES))


async def read_question(
    headers: Headers,
    receive: Receive,
    predictor: Predictor,
    mib: int | None,
    parsing: CapacityLimiter,
    seconds: float,
) -> tuple[Question, float]:
    """The body as inputs: JSON, or a raw media type that the model's input accepts, by itself or as the file of a form.

    `mib`: the largest body, as in `most_bytes`; `parsing`: how many threads parse at once what takes long; `seconds`:
    how long the client waits for the answer once its body has arrived. Also returns the `perf_counter` at which that
    ends. Raises Problem, and QueueFull if too much waits to be parsed.
    """
    raw = predictor.media_types
    sent = media_type(headers, [JSON, *raw, *([FORM] if raw else [])])
    body = await _read_in_time(headers, receive, most_bytes(sent, predictor, mib))
    deadline = perf_counter() + seconds
    parse = partial(_question, body, sent, headers.get("content-type", ""), predictor)
    if not predictor.slow_parse:
        return parse(), deadline
    if parsing.statistics().tasks_waiting >= MOST_UNPARSED:
        raise QueueFull(1)
    parsed = asyncio.ensure_future(to_thread.run_sync(parse, limiter=parsing))
    return await with_deadline(receive, parsed, seconds), deadline


def most_bytes(sent: str, predictor: Predictor, mib: int | None) -> int:
    """Of a body of this media type: what the model's input says, or more or less in the same proportion."""
    most = predictor.most_bytes if sent == JSON else predictor.most_raw_bytes
    return most if mib is None else most * mib * 2**20 // predictor.most_raw_bytes


def media_type(headers: Headers, accepted: Collection[str]) -> str:
    """The body's media type, which must be one of `accepted`. Raises Problem, also if the body is compressed."""
    header = headers.get("content-type", "")
    if (sent := header.partition(";")[0].strip().lower()) not in accepted:
        raise Problem(415, f"the body must be {', '.join(accepted)}, not {header[:100] or 'untyped'}")
    for encoding in headers.getlist("content-encoding"):
        if encoding.strip().lower() not in ("", "identity"):
            raise Problem(415, f"the body must not be encoded, but its content-encoding is {encoding[:100]}")
    return sent


async def read_pieces(request: Request) -> AsyncIterator[bytes]:
    """The body in chunks as they arrive. Raises Problem if none arrives for too long."""
    pieces = request.stream()
    while True:
        try:
            async with asyncio.timeout(PAUSE_SECONDS):
                piece = await anext(pieces, None)
        except TimeoutError:
            raise _too_slow(f"no part of the body arrived for {PAUSE_SECONDS:g} seconds") from None
        if piece is None:
            return
        yield piece


def parse_question(payload: object, model_input: OpenInput[Any, Any]) -> Question:
    """One input, or a list under `inputs`. All invalid inputs are reported at once."""
    keys = payload.keys() if isinstance(payload, dict) else set()
    inputs = payload["inputs"] if isinstance(payload, dict) and "inputs" in payload else None
    if not (isinstance(inputs, list) or keys == {"inputs"}):  # a field may have that name too
        return Question([payload], _parse_all([("", payload)], model_input), listed=False)
    if len(keys) > 1:
        raise unprocessable([Fault(detail='"inputs" must be the only key', pointer="#")])
    return _parse_list(inputs, model_input)


def _question(body: bytes, sent: str, content_type: str, predictor: Predictor) -> Question:
    if sent == FORM:
        body, sent = read_file(body, content_type, list(predictor.media_types))
    if sent == JSON:
        return parse_question(_decode(body), predictor.input)
    return parse_raw(body, predictor.media_types[sent], predictor.input)


def _parse_list(inputs: object, model_input: OpenInput[Any, Any]) -> Question:
    if not isinstance(inputs, list) or not 1 <= len(inputs) <= MOST_INPUTS:
        sent = f"{len(inputs)} inputs" if isinstance(inputs, list) else "something else"
        detail = f'"inputs" must be a list of 1 to {MOST_INPUTS} inputs, not {sent}'
        raise unprocessable([Fault(detail=detail, pointer="#/inputs")])
    rows = _parse_all([(f"/inputs/{index}", item) for index, item in enumerate(inputs)], model_input)
    return Question(inputs, rows, listed=True)


def parse_raw(body: bytes, decode: Callable[[bytes], object], model_input: OpenInput[Any, Any]) -> Question:
    """The whole body, which is one input, or a list of them. `decode` converts it to the form that the input parses."""
    try:
        payload = decode(body)
    except InvalidInput as refused:
        raise unprocessable([fault(refused)]) from None
    if isinstance(payload, list):
        return _parse_list(payload, model_input)
    return Question([payload], _parse_all([("", payload)], model_input), listed=False)


def parse(payload: object, model: type[_Model]) -> _Model:
    """The body, validated. All errors are reported at once."""
    try:
        return model.model_validate(payload)
    except ValidationError as wrong:
        fields = " and ".join(f'"{name}"' for name in model.model_fields)
        raise unprocessable(
            [
                Fault(detail=error["msg"], pointer="#/" + quote("/".join(map(str, error["loc"])), errors="replace"))
                if error["type"] != "extra_forbidden"
                else Fault(detail=f"the body has {fields}, and nothing else", pointer="#")
                for error in wrong.errors()
            ]
        ) from None


async def with_deadline(receive: Receive, answer: "asyncio.Future[_Answer]", seconds: float) -> _Answer:
    """Awaits the answer, which is cancelled when the client disconnects or, with 504, after the deadline.

    The request's body must have been read.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    causes: list[Callable[[], Exception]] = []
    listening: asyncio.Task[None] | None = None
    timer: asyncio.TimerHandle

    def give_up(cause: Callable[[], Exception]) -> None:
        if answer.cancel():  # False if it is done or was cancelled before
            causes.append(cause)

    def listen() -> None:
        nonlocal listening, timer
        listening = loop.create_task(_disconnected(receive))
        listening.add_done_callback(lambda _: give_up(ClientDisconnect))
        timer = loop.call_later(max(deadline - loop.time(), 0), give_up, _too_late)

    if seconds > LISTEN_AFTER_SECONDS:
        timer = loop.call_later(LISTEN_AFTER_SECONDS, listen)
    else:
        timer = loop.call_later(max(seconds, 0), give_up, _too_late)
    try:
        return await answer
    except asyncio.CancelledError:
        # the clock alone does not tell why it was cancelled: uvloop's timers may fire a little early
        if causes:
            raise causes[0]() from None
        raise
    finally:
        timer.cancel()
        if listening is not None:
            listening.cancel()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def fault(refused: InvalidInput, at: str = "") -> Fault:
    """`at`: the JSON Pointer of the refused input in the body."""
    return Fault(detail=refused.detail, pointer="#" + quote(at + refused.pointer, errors="replace"))


def unprocessable(faults: list[Fault]) -> Problem:
    """A problem with all errors in one body."""
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    return Problem(422, f"{faults[0].detail}{more}", faults)


def _parse_all(items: list[tuple[str, object]], model_input: OpenInput[Any, Any]) -> list[Any]:
    rows, faults = [], []
    for at, item in items:
        try:
            rows.append(model_input.parse(item))
        except InvalidInput as refused:
            faults.append(fault(refused, at))
    if faults:
        raise unprocessable(faults)
    return rows


def _decode(body: bytes) -> object:
    try:
        return from_json(body, allow_inf_nan=False)
    except ValueError as wrong:
        raise Problem(400, f"the body is not JSON: {wrong}") from None


def _too_large(most: int) -> Problem:
    return Problem(413, f"the body may have {most:,} bytes", headers={"connection": "close"})


def _too_slow(detail: str) -> Problem:
    return Problem(408, detail, headers={"connection": "close"})


def _too_late() -> Problem:
    return Problem(504, "the answer was not ready within the time that the request allows")


async def _read_in_time(headers: Headers, receive: Receive, most: int) -> bytes:
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await _read_body(headers, receive, most)
    except TimeoutError:
        raise _too_slow(f"the body was not complete within {BODY_SECONDS:g} seconds") from None


async def _read_body(headers: Headers, receive: Receive, most: int) -> bytes:
    declared = headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and int(declared[:20]) > most:
        raise _too_large(most)
    body, more = bytearray(), True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body += message.get("body", b"")
        if len(body) > most:  # a chunked body declares no length, and a declared length may be wrong
            raise _too_large(most)
        more = message.get("more_body", False)
    return bytes(body)
