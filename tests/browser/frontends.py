"""The web page as a real process, and a stand-in for the monitor that it asks."""

import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any, Self

import httpx
from bundles import LABELS, fields, write_bundle
from servers import ServerProcess, free_port

from boatyard import registry
from boatyard.kinds.text.serving import input_schema
from boatyard.storage import open_storage

ADMIN_KEY = "an-admin-key-that-nobody-guesses"
HOSTILE_LABEL = "<i>fees</i> :red[x]"
HOSTILE_EXAMPLE = "<b>card</b> **fee** ![x](http://127.0.0.1:9/x.png)"


class FrontendProcess:
    """`python -m boatyard.frontend` on a port of its own, ready when `with` is entered."""

    def __init__(self, log: Path, **environment: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = log
        self._environment = {"PORT": str(self.port), **environment}

    def __enter__(self) -> Self:
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "boatyard.frontend"],
                env=os.environ | self._environment,
                stdout=log,
                stderr=log,
            )
        limit = time.monotonic() + 60
        while not self._is_ready():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < limit, self.log.read_text()
            time.sleep(0.1)
        return self

    def _is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/_stcore/health", timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, at: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait(30)


class StandInMonitor:
    """Answers as the monitor does: without a report until one is run."""

    def __init__(self, labels: list[str]) -> None:
        self.labels = labels
        self.runs = 0
        self.alarm = True
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, at: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def drift(self) -> dict[str, Any]:
        verdicts: list[tuple[object, ...]] = [
            ("labels", "prediction", "total variation", 0.31, 0.12, True, "card_lost is three times as frequent."),
            ("confidence", "confidence", "Wasserstein", 0.17, 0.11, True, "The model is less sure."),
            ("length", "input", "Wasserstein", 0.05, 0.1, False, "Inputs are as long as they were."),
            ("unknown tokens", "input", "Wasserstein", 0.02, 0.09, False, "Inputs use the same words."),
            ("<b>embedding</b>", "embedding", "energy distance", 0.03, 0.04, False, "Inputs mean the same."),
            ("live accuracy", "live quality", "binomial", None, None, False, "Too few answers have feedback."),
        ]
        names = ("name", "group", "statistic", "value", "threshold", "drifted", "sentence")
        shown = [dict(zip(names, verdict, strict=True)) for verdict in verdicts]
        for verdict in shown:
            verdict["drifted"] = verdict["drifted"] and self.alarm
        return {
            "model": "inbox",
            "version": "20261121T092639Z-2542f8b5",
            "window": {"rows": 500, "from": "2026-11-20T08:12:44.120+00:00", "to": "2026-11-21T10:02:11.007+00:00"},
            "alarm": self.alarm,
            "verdicts": shown,
            "quality": {"feedback": 212, "accuracy": 0.6132, "low": 0.5462, "high": 0.6762, "accepted": 0.6586},
            "time": "2026-11-21T10:05:00+00:00",
        }

    def history(self) -> list[dict[str, Any]]:
        start = datetime(2026, 11, 15, 10, 5, tzinfo=UTC)
        drifted: list[list[str]] = [[], [], ["length"], [], [], ["confidence"], ["prediction", "confidence"]]
        return [
            {"time": (start + timedelta(days=day)).isoformat(), "alarm": len(names) > 1, "drifted": names}
            for day, names in enumerate(drifted)
        ]

    def statistics(self) -> dict[str, Any]:
        random, start = Random(7), datetime(2026, 11, 20, 10, tzinfo=UTC)
        hours = [(start + timedelta(hours=hour)).isoformat() for hour in range(24)]
        labels = {
            label: [round(random.uniform(0.5, 1.5) * 40 / (1 + rank) * (1 + hour % 12) / 6) for hour in range(24)]
            for rank, label in enumerate(self.labels)
        }
        return {
            "hours": hours,
            "labels": labels,
            "rows": sum(map(sum, labels.values())),
            "latency_ms": {"p50": 2.4, "p95": 6.1, "p99": 11.8},
            "length": {"p50": 20, "p95": 85, "p99": 104, "max": 128},
            "score": {"p5": 0.21, "p50": 0.63, "p95": 0.97},
            "quality": {"feedback": 212, "accuracy": 0.6132, "low": 0.5462, "high": 0.6762, "accepted": 0.6586},
        }

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        monitor = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if not monitor.runs and self.path.startswith("/drift"):
                    return self._answer(404, "application/problem+json", {"status": 404, "detail": "no report yet"})
                answers = {
                    "/drift.json": monitor.drift,
                    "/history.json": monitor.history,
                    "/statistics": monitor.statistics,
                }
                if self.path == "/drift":
                    return self._answer(200, "text/html", "<h1>the full report</h1>")
                return self._answer(200, "application/json", answers[self.path]())

            def do_POST(self) -> None:
                assert self.path == "/drift/run"
                monitor.runs += 1
                self._answer(200, "application/json", monitor.drift())

            def _answer(self, status: int, kind: str, content: object) -> None:
                body = (content if isinstance(content, str) else json.dumps(content)).encode()
                self.send_response(status)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - its own name
                pass

        return Handler


class Stack:
    """An api with two versions, the first in production, a stand-in for the monitor, and the page."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.storage = open_storage(str(root / "storage"))
        self.versions = [self._publish(name, bias) for name, bias in (("first", (0, 0, 0)), ("second", (0, 0, 50)))]
        registry.promote(self.storage, "inbox", self.versions[0])
        entry = f"ana:{hashlib.sha256(ADMIN_KEY.encode()).hexdigest()}"
        self.api = ServerProcess(root / "storage", root / "api.log", BOATYARD_ADMIN_KEYS=entry)
        self.monitor = StandInMonitor(LABELS)
        self.page = FrontendProcess(root / "page.log", BOATYARD_API=self.api.url, BOATYARD_MONITOR=self.monitor.url)

    def _publish(self, name: str, bias: tuple[int, int, int]) -> str:
        sealed = self.root / name
        sealed.mkdir(parents=True)
        (sealed / "MODEL_CARD.md").write_text(f"# inbox\n\nThe {name} card.\n\n## Limits\n\n<script>card</script>\n")
        facts = {
            "sources": ["rows.csv"],
            "labels": LABELS,
            "split_rows": {"train": 80, "validation": 10, "test": 10},
            "label_counts": {"train": [40, 20, 20], "validation": [4, 3, 3], "test": [4, 3, 3]},
            "imbalance": 2.0,
            "length_unit": "words",
            "lengths": {"train": {"p50": 4, "p95": 8, "p99": 9, "max": 12}, "validation": None, "test": None},
            "issue_counts": {"warning:near_duplicate": 3},
            "fingerprint": "0" * 16,
        }
        (sealed / "data.json").write_text(json.dumps(facts))
        (sealed / "confusion.png").write_bytes(_PIXEL)
        served = {"rows": 100, "accuracy": 0.9 + bias[2] / 1000, "accuracy_low": 0.85, "accuracy_high": 0.97}
        write_bundle(
            sealed,
            bias=bias,
            labels=["card_lost", "transfer", HOSTILE_LABEL],
            input_schema=input_schema(["text"], max_characters=60_000),
            limits={**fields()["limits"], "max_characters": 60_000},
            examples=[{"text": "my card was stolen"}, {"text": HOSTILE_EXAMPLE}],
            metrics={"served": served, "graph_bytes": 1_000_000, "precision": "fp32"},
        )
        return registry.publish(self.storage, sealed).version


_PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c63606060f80f00010401005fe5c34b0000000049454e44ae426082"
)
