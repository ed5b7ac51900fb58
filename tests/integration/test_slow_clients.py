"""Who sends slowly, too much or no HTTP gets a problem document and loses the connection; nobody else notices.

Whoever offers another protocol, as stock clients do, is answered as anybody.
"""

import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import httpx
import pytest
from problems import assert_problem
from servers import server_here

from boatyard.api import protocol, requests
from boatyard.storage import Storage

pytestmark = pytest.mark.integration

SECONDS = 1.0  # for a head, for a body, between two pieces of a file
QUESTION = b'{"text": "card"}'
HEALTH = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"


@pytest.fixture
def port(tmp_path: Path, promoted: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:  # noqa: ARG001
    """Of a real server, in a thread of its own, with little patience."""
    monkeypatch.setattr(protocol, "HEAD_SECONDS", SECONDS)
    monkeypatch.setattr(requests, "BODY_SECONDS", SECONDS)
    monkeypatch.setattr(requests, "PAUSE_SECONDS", SECONDS)
    with server_here(tmp_path) as url:
        yield int(url.rpartition(":")[2])


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=20)


def post(path: str, length: int, media_type: str = "application/json") -> bytes:
    lines = [f"POST {path} HTTP/1.1", "host: x", f"content-type: {media_type}", f"content-length: {length}", "", ""]
    return "\r\n".join(lines).encode()


def dripping(data: bytes) -> Iterator[bytes]:
    """Never silent for long, and not done within the time."""
    for byte in data:
        yield bytes([byte])
        time.sleep(SECONDS / 10)


def converse(port: int, pieces: Iterable[bytes]) -> list[httpx.Response]:
    """Sends until the server hangs up; all that it answered."""
    with connect(port) as client:
        received = bytearray()

        def listen() -> None:
            try:
                while data := client.recv(65536):
                    received.extend(data)
            except ConnectionResetError:
                pass

        listening = threading.Thread(target=listen)
        listening.start()
        for piece in pieces:
            if not listening.is_alive():
                break
            try:
                client.sendall(piece)
            except OSError:  # it is not listened to any more
                break
        listening.join(10)
        assert not listening.is_alive(), "the server did not hang up"
    return answers(bytes(received))


def answers(received: bytes) -> list[httpx.Response]:
    found = []
    while received:
        head, _, rest = received.partition(b"\r\n\r\n")
        status, *lines = head.decode().split("\r\n")
        headers = httpx.Headers([tuple(line.split(": ", 1)) for line in lines])  # type: ignore[misc]
        length = int(headers.get("content-length", 0))  # 100 Continue has none
        found.append(httpx.Response(int(status.split()[1]), headers=headers, content=rest[:length]))
        received = rest[length:]
    return found


def refused(port: int, pieces: Iterable[bytes], status: int, said: str) -> None:
    (answer,) = converse(port, pieces)
    assert_problem(answer, status, said)
    assert answer.headers["connection"] == "close"


# ---- slow


def test_a_head_that_comes_byte_by_byte_is_given_up(port: int) -> None:
    refused(port, dripping(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"), 408, "head was not complete within 1 seconds")


def test_whoever_connects_and_says_nothing_is_hung_up_on(port: int) -> None:
    assert converse(port, []) == []


@pytest.mark.parametrize(("at_once", "later"), [(HEALTH, HEALTH), (HEALTH, b"\r\n" * 20), (HEALTH + HEALTH[:9], b"")])
def test_a_later_head_on_the_same_connection_is_given_up_too(port: int, at_once: bytes, later: bytes) -> None:
    def pieces() -> Iterator[bytes]:
        yield at_once
        time.sleep(SECONDS / 5)
        yield from dripping(later)

    first, last = converse(port, pieces())
    assert first.status_code == 200
    assert_problem(last, 408)


@pytest.mark.parametrize("path", ["/predict", "/feedback"])
def test_a_body_that_comes_byte_by_byte_is_given_up(port: int, path: str) -> None:
    refused(port, [post(path, 100), b"{"], 408, "body was not complete within 1 seconds")

    def pieces() -> Iterator[bytes]:
        yield post(path, 100)
        yield from dripping(QUESTION)

    refused(port, pieces(), 408, "body was not complete within 1 seconds")


def test_what_a_body_took_to_arrive_is_no_part_of_the_time_for_its_answer(port: int) -> None:
    def pieces() -> Iterator[bytes]:
        yield post("/predict", len(QUESTION)).replace(b"host: x", b"host: x\r\nconnection: close")[:-2] + (
            b"x-request-timeout-ms: 400\r\n\r\n"
        )
        time.sleep(SECONDS / 2)
        yield QUESTION

    (answer,) = converse(port, pieces())
    assert answer.status_code == 200


def test_a_body_that_nobody_reads_any_more_does_not_hold_the_connection(port: int) -> None:
    def pieces() -> Iterator[bytes]:
        yield post("/nothing", 100)
        yield from dripping(b" " * 30)

    started = time.monotonic()
    (answer,) = converse(port, pieces())
    assert_problem(answer, 404)
    assert time.monotonic() - started < 2.9 * SECONDS, "or it was held for as long as bytes came"


@pytest.mark.slow
def test_a_file_may_take_long_but_not_pause_for_long(port: int, storage: Storage) -> None:
    refused(port, [post("/jobs", 100, "text/csv"), b"text\n"], 408, "no part of the body arrived for 1 seconds")
    assert storage.list("jobs/") == []

    content = b"text\nmy card was stolen"
    with connect(port) as client:
        client.sendall(post("/jobs", len(content), "text/csv"))
        for piece in dripping(content):
            client.sendall(piece)
        assert client.recv(65536).startswith(b"HTTP/1.1 202 ")


@pytest.mark.slow
def test_others_are_served_while_hundreds_send_slowly_and_those_are_hung_up_on(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, name in [(protocol, "HEAD_SECONDS"), (requests, "BODY_SECONDS")]:
        monkeypatch.setattr(module, name, 3 * SECONDS)
    slow = [connect(port) for _ in range(200)]
    for client in slow[::2]:
        client.sendall(b"GET /healthz HTTP/1.1\r\nx: ")
    for client in slow[1::2]:
        client.sendall(post("/predict", 100) + b"{")
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        for _ in range(20):
            assert client.post("/predict", content=QUESTION, headers={"content-type": "application/json"}).is_success
    for one in slow:
        assert one.recv(65536).startswith(b"HTTP/1.1 408 ")
        assert one.recv(65536) == b""
        one.close()


def test_a_body_that_comes_after_its_answer_does_not_hold_the_connection_for_ever(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "IDLE_SECONDS", SECONDS)

    def pieces() -> Iterator[bytes]:
        yield post("/nothing", 3)
        time.sleep(SECONDS / 5)
        yield b"abc"

    (answer,) = converse(port, pieces())
    assert_problem(answer, 404)


def test_a_connection_that_was_idle_before_the_crowd_is_kept_and_later_ones_are_not(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "CROWDED_IDLE_SECONDS", SECONDS)
    with connect(port) as first:
        first.sendall(HEALTH)
        assert first.recv(65536)
        monkeypatch.setattr(protocol, "CROWD", 1)
        (answer,) = converse(port, [HEALTH])
        assert answer.status_code == 200
        first.sendall(HEALTH)
        assert first.recv(65536), "it was idle for as long"


def test_few_open_files_are_a_crowd_sooner(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "CROWDED_IDLE_SECONDS", SECONDS)
    monkeypatch.setattr(protocol, "most_open_files", lambda: 2)
    with connect(port):
        (answer,) = converse(port, [HEALTH])
    assert answer.status_code == 200


def test_a_body_that_nobody_has_read_is_not_kept_with_an_idle_connection(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = []
    lost = protocol.BoundedProtocol.connection_lost

    def note(connection: protocol.BoundedProtocol, why: Exception | None) -> None:
        kept.append(len(connection.cycle.body))
        lost(connection, why)

    monkeypatch.setattr(protocol, "IDLE_SECONDS", SECONDS)
    monkeypatch.setattr(protocol.BoundedProtocol, "connection_lost", note)
    (answer,) = converse(port, [post("/nothing", 50_000) + b" " * 50_000])
    assert (answer.status_code, kept) == (404, [0])


# ---- while the server is busy

BUSY = 1.5 * SECONDS


@pytest.fixture
def keep_busy(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Keeps the server at a port from reading for a while, as a crowd of requests would, and returns at once."""
    received = protocol.BoundedProtocol.data_received

    def slowly(connection: protocol.BoundedProtocol, data: bytes) -> None:
        if data == b"crowd":
            time.sleep(BUSY)
        else:
            received(connection, data)

    monkeypatch.setattr(protocol.BoundedProtocol, "data_received", slowly)

    def send(port: int) -> None:
        with connect(port) as client:
            client.sendall(b"crowd")

    return send


@pytest.mark.parametrize("earlier", [HEALTH, b"", HEALTH[:20]], ids=["idle", "new", "with half a head"])
def test_a_request_that_came_in_time_is_answered_though_the_server_reads_it_late(
    port: int, keep_busy: Callable[[int], None], earlier: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "IDLE_SECONDS", SECONDS)
    with connect(port) as client:
        client.sendall(earlier)
        if earlier == HEALTH:
            client.recv(65536)
        time.sleep(SECONDS / 2)
        keep_busy(port)
        time.sleep(SECONDS / 5)
        client.sendall(HEALTH.removeprefix(earlier) or HEALTH)
        assert client.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_a_request_that_came_before_the_server_stopped_is_answered(
    tmp_path: Path,
    promoted: str,  # noqa: ARG001
    keep_busy: Callable[[int], None],
) -> None:
    with server_here(tmp_path) as url:
        client = connect(port := int(url.rpartition(":")[2]))
        client.sendall(HEALTH)
        client.recv(65536)
        keep_busy(port)
        time.sleep(SECONDS / 5)
        client.sendall(HEALTH)
    with client:
        (answer,) = answers(b"".join(iter(lambda: client.recv(65536), b"")))
    assert answer.status_code == 200


# ---- too much


@pytest.mark.parametrize("path", ["/predict", "/feedback"])
def test_a_refusal_reaches_a_client_that_sends_all_before_it_reads(port: int, path: str) -> None:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    client.request("POST", path, b" " * 50_000_000, {"content-type": "application/json"})
    answer = client.getresponse()
    assert (answer.status, answer.headers["connection"]) == (413, "close")
    client.close()


def test_what_is_sent_behind_a_refused_request_is_neither_begun_nor_an_error(
    port: int, caplog: pytest.LogCaptureFixture
) -> None:
    chunked = b"POST /feedback HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n"
    size = 1024**2 + 1
    (answer,) = converse(
        port, [chunked + b"\r\n%x\r\n" % size + b" " * size, b"\r\n0\r\n\r\n" + HEALTH + post("/feedback", 9) + b"{"]
    )
    assert_problem(answer, 413)
    (answer,) = converse(port, [chunked + b"expect: 100-continue\r\n\r\nxx\r\n"])
    assert_problem(answer, 400)
    assert not [record for record in caplog.records if record.exc_info]
    assert not [record for record in caplog.records if "healthz" in record.getMessage()]


def test_an_answer_reaches_a_client_that_sends_no_request_behind_it_before_it_reads(port: int) -> None:
    with connect(port) as client:
        client.sendall(HEALTH + b"no: request\r\n" * 4_000_000)
        assert client.recv(65536).startswith(b"HTTP/1.1 200 ")


def head(size: int) -> bytes:
    start, end = b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx: ", b"\r\n\r\n"
    return start + b"a" * (size - len(start) - len(end)) + end


@pytest.mark.parametrize("piece", [100_000, 1000, 7])
def test_a_head_may_have_16_kib_however_it_is_cut_and_not_a_byte_more(port: int, piece: int) -> None:
    for size, status in [(16_384, 200), (16_385, 431)]:
        sent = head(size)
        (answer,) = converse(port, [sent[start : start + piece] for start in range(0, size, piece)])
        assert answer.status_code == status


@pytest.mark.parametrize(
    "sent",
    [
        head(20 * 1024),
        b"GET /healthz HTTP/1.1\r\n" + b"a: b\r\n" * 10_000 + b"\r\n",
        b"GET /" + b"a" * 20 * 1024 + b" HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\n" + b"a" * 10_000_000,
        b"\r\n" * 10_000,
    ],
    ids=["a long header", "many headers", "a long path", "a header's name without end", "blank lines without end"],
)
def test_a_head_that_is_too_large_is_refused(port: int, sent: bytes) -> None:
    refused(port, [sent], 431, "16384 bytes")


def test_many_small_requests_at_once_are_no_large_head(port: int) -> None:
    one = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"
    found = converse(port, [one * 1000, b"GET /healthz HTTP/1.1\r\nconnection: close\r\n\r\n"])
    assert [answer.status_code for answer in found] == [200] * 1001


# ---- no HTTP


@pytest.mark.parametrize(
    "sent",
    [
        b"hello\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # somebody tries TLS
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\n\r\n",
        b"GET http://[/ HTTP/1.1\r\n\r\n",
        b"POST /predict HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        b"POST /predict HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
        b"POST /predict HTTP/1.1\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\nno hexadecimal",
    ],
)
def test_what_is_no_http_is_refused(port: int, sent: bytes) -> None:
    refused(port, [sent], 400, "not an HTTP/1.1 request")


@pytest.mark.parametrize("more", [b"hello\r\n\r\n", b"GET /healthz HTTP/1.1\r\n" + b"a: b\r\n" * 10_000 + b"\r\n"])
def test_what_follows_a_request_at_once_and_is_none_does_not_cost_it_its_answer(port: int, more: bytes) -> None:
    first = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"
    (answer,) = converse(port, [first + more])
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_who_wants_a_tunnel_is_told_that_there_is_none(port: int) -> None:
    for target in (b"example.com:443", b"/healthz"):
        refused(port, [b"CONNECT %b HTTP/1.1\r\nhost: x\r\n\r\nanything" % target], 501, "not a proxy")


def test_head_gets_the_head_alone_and_the_connection_goes_on(port: int) -> None:
    with connect(port) as client:
        for path in (b"/healthz", b"/metrics", b"/models", b"/nothing"):
            client.sendall(b"HEAD %b HTTP/1.1\r\nhost: x\r\n\r\n" % path)
        client.sendall(LAST)
        received = b"".join(iter(lambda: client.recv(65536), b""))
    *heads, last = received.split(b"HTTP/1.1 ")[1:]
    assert [head[:3] for head in heads] == [b"200", b"200", b"200", b"404"]
    assert all(head.endswith(b"\r\n\r\n") and b"\r\ncontent-length: " in head for head in heads)
    assert last.endswith(b'{"status":"ok"}')


# ---- offers of another protocol

LAST = b"GET /healthz HTTP/1.1\r\nconnection: close, te\r\n\r\n"
CHUNKS = b"5\r\n" + QUESTION[:5] + b"\r\nb\r\n" + QUESTION[5:] + b"\r\n0\r\n\r\n"
OFFERS = [  # the first is curl's and Java's
    b"connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n",
    b"Upgrade: websocket\r\nConnection: keep-alive, upgrade\r\nSec-WebSocket-Key: x\r\n",
    b"upgrade: TLS/1.2, HTTP/3.0\r\nconnection: upgrade\r\n",
]


@pytest.fixture
def offering(port: int) -> Callable[..., list[httpx.Response]]:
    """Poses the question with an offer and more `headers`, then asks for more on the same connection."""

    def ask(offer: bytes, headers: bytes, *body: bytes) -> list[httpx.Response]:
        start = b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        return converse(port, [start + offer + headers + b"\r\n", *body, LAST])

    return ask


def test_an_offer_of_another_protocol_is_passed_over_and_the_body_read(
    offering: Callable[..., list[httpx.Response]], port: int
) -> None:
    sized, chunked = b"content-length: %d\r\n" % len(QUESTION), b"transfer-encoding: chunked\r\n"
    for offer in OFFERS:
        for headers, body in ((sized, QUESTION), (chunked, CHUNKS)):
            for pieces in ([body], [body[:7], body[7:]]):
                answered, last = offering(offer, headers, *pieces)
                assert answered.json()["label"] == "card_lost"
                assert last.json() == {"status": "ok"}
        whole = post("/predict", len(QUESTION))[:-2] + offer + b"\r\n" + QUESTION
        several = converse(port, [whole * 200 + LAST])  # without waiting for an answer
        assert [answer.status_code for answer in several] == [200] * 201
        bytewise = converse(port, [bytes([byte]) for byte in whole + LAST])
        assert [answer.status_code for answer in bytewise] == [200, 200]
        plain = converse(port, [b"GET /healthz HTTP/1.1\r\n" + offer + b"\r\n" + LAST])
        assert [answer.json() for answer in plain] == [{"status": "ok"}] * 2


def test_an_offer_does_not_change_what_is_waited_for_or_allowed(
    offering: Callable[..., list[httpx.Response]], port: int
) -> None:
    refused(port, [post("/predict", 100)[:-2] + OFFERS[0] + b"\r\n{"], 408, "body was not complete")
    for offer in OFFERS:
        expecting = offering(offer, b"expect: 100-continue\r\ncontent-length: %d\r\n" % len(QUESTION), QUESTION)
        assert [answer.status_code for answer in expecting] == [100, 200, 200]
        refused(port, [b"GET /healthz HTTP/1.1\r\n" + offer + b"x: " + b"a" * 20_000], 431, "16384 bytes")
        head = post("/predict", len(QUESTION))[:-2] + offer
        for ending in (head.replace(b"/1.1", b"/1.0"), head.replace(b"onnection: ", b"onnection: close, ")):
            (answered,) = converse(port, [ending + b"\r\n", QUESTION])
            assert answered.json()["label"] == "card_lost"
