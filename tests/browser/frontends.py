"""The web page as a real process, and all that it asks: a real api and a real monitor."""

import hashlib
import json
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
from bundles import fields, write_bundle
from references import messages, write_reference
from servers import MonitorProcess, ServerProcess, ServiceProcess

from boatyard import registry
from boatyard.evaluate.markdown import escape
from boatyard.inputs.text.serving import request_schema
from boatyard.storage import open_storage

ADMIN_KEY = "an-admin-key-that-nobody-guesses"
# whatever Markdown, Streamlit's additions to it, or HTML would make something else of
HOSTILE_LABEL = (
    "<i>fees</i> **b** :red[x] :smile: :material_home: :streamlit: a -> b >= c $x$ www.a.example me@b.example"
)
LABELS = ["card_lost", "transfer", HOSTILE_LABEL]
HOSTILE_EXAMPLE = "<b>card</b> **fee** ![x](http://127.0.0.1:9/x.png)"


class FrontendProcess(ServiceProcess):
    """`python -m boatyard.frontend`."""

    def __init__(self, log: Path, **environment: str) -> None:
        super().__init__("boatyard.frontend", ready="/_stcore/health", log=log, **environment)


class Stack:
    """An api with two versions, the first in production, the monitor that reads its journal, and the page."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.storage = open_storage(str(root / "storage"))
        self.versions = [self._publish(name, bias) for name, bias in (("first", (0, 0, 0)), ("second", (0, 0, 50)))]
        registry.promote(self.storage, "ferry", self.versions[0])
        entry = f"ana:{hashlib.sha256(ADMIN_KEY.encode()).hexdigest()}"
        self.api = ServerProcess(root / "storage", root / "api.log", BOATYARD_ADMIN_KEYS=entry)
        self.monitor = MonitorProcess(root / "storage", root / "monitor.log")
        self.page = FrontendProcess(root / "page.log", BOATYARD_API=self.api.url, BOATYARD_MONITOR=self.monitor.url)

    def __enter__(self) -> Self:
        with ExitStack() as running:
            services = (self.api, self.monitor, self.page)
            for service in services:
                service.launch()
                running.callback(service.kill)
            for service in services:
                service.wait()
            self._running = running.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, at: TracebackType | None
    ) -> None:
        self._running.close()

    def ask(self, texts: Sequence[str]) -> list[dict[str, Any]]:
        """The answers; the monitor does not know of them before `ship`."""
        inputs = [{"text": text} for text in texts]
        answered = httpx.post(f"{self.api.url}/predict", json={"inputs": inputs}).raise_for_status()
        return list(answered.json()["predictions"])

    def ship(self) -> None:
        """The api starts anew: one that stops has brought its journal to the storage."""
        self.api.stop()
        self.api.start()

    def _publish(self, name: str, bias: tuple[int, int, int]) -> str:
        sealed = self.root / name
        sealed.mkdir(parents=True)
        labels = ", ".join(map(escape, LABELS))
        (sealed / "MODEL_CARD.md").write_text(
            f"# ferry\n\nThe {name} card.\n\n## Limits\n\n<script>card</script>\n\n## Labels\n\n{labels}\n"
        )
        facts = {
            "sources": ["rows.csv"],
            "labels": LABELS,
            "split_rows": {"train": 80, "validation": 10, "test": 10},
            "label_counts": {"train": [40, 20, 20], "validation": [4, 3, 3], "test": [4, 3, 3]},
            "imbalance": 2.0,
            "size_unit": "words",
            "sizes": {"train": {"p50": 4, "p95": 8, "p99": 9, "max": 12}, "validation": None, "test": None},
            "issue_counts": {"warning:near_duplicate": 3},
            "fingerprint": "0" * 16,
        }
        (sealed / "data.json").write_text(json.dumps(facts))
        _evaluate(sealed)
        accuracy = {"name": "accuracy", "value": 0.9 + bias[2] / 1000, "low": 0.85, "high": 0.97}
        bundle: dict[str, Any] = {
            "bias": bias,
            "target": {"labels": LABELS},
            "request_schema": request_schema(["text"], max_characters=60_000),
            "limits": {**fields()["limits"], "max_characters": 60_000},
            "examples": [{"text": "my card was stolen"}, {"text": HOSTILE_EXAMPLE}],
            "metrics": {"rows": 100, "served": [accuracy], "graph_bytes": 1_000_000, "precision": "fp32"},
        }
        write_reference(sealed, messages(600, seed=0), **bundle)
        write_bundle(sealed, **bundle)
        return registry.publish(self.storage, sealed).version


def _evaluate(folder: Path) -> None:
    """The figures of 100 rows, of which 10 were lost cards that were taken for transfers, and one was about fees."""
    detail = {
        "labels": LABELS,
        "confusion": [[24, 10, 0], [0, 33, 0], [1, 0, 32]],
        "calibration": [{"low": 0.8, "high": 0.9, "rows": 100, "confidence": 0.87, "accuracy": 0.89}],
    }
    figures = {"title": "ferry", "split": "test", "rows": 100, "detail": detail}
    (folder / "metrics.json").write_text(json.dumps(figures))
