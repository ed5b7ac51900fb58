"""Proteins asked of a server: how long one takes, and a job of FASTA on a server that is killed twice."""

import json
import random
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
from jobs import Watch, curl
from load import BOATYARD, Server

from boatyard import registry
from boatyard.bundle.manifest import Bundle
from boatyard.storage import open_storage

ASKED_RESIDUES, REQUESTS = 300, 500
KILLS = 2
_WARMED_BY = 50  # requests


def measure_server(bundle: Bundle, sequences: Sequence[str], folder: Path) -> dict[str, Any]:
    """`sequences`: the records of the job."""
    storage = open_storage(str(folder))
    registry.publish(storage, bundle.folder)
    settings = {
        "STORAGE": folder,
        "SPOOL": folder / "spool",
        "MODEL": f"{bundle.manifest.name}@{bundle.manifest.version}",
    }
    server = Server(BOATYARD, folder / "server.log", **{f"BOATYARD_{name}": str(of) for name, of in settings.items()})
    with server:
        return {"p50_ms": _median_ms(server, "".join(sequences)), **_measure_job(server, sequences, folder)}


def _median_ms(server: Server, residues: str) -> float:
    """Of one client, which asks for another sequence each time."""
    took = []
    with httpx.Client(timeout=60) as client:
        for start in range(0, REQUESTS * ASKED_RESIDUES, ASKED_RESIDUES):
            began = time.perf_counter()
            sequence = residues[start : start + ASKED_RESIDUES]
            client.post(f"{server.url}/predict", json={"sequence": sequence}).raise_for_status()
            took.append(time.perf_counter() - began)
    return 1000 * statistics.median(took[_WARMED_BY:])


def _measure_job(server: Server, sequences: Sequence[str], folder: Path) -> dict[str, Any]:
    """Killed at moments that are drawn, and read line by line."""
    source, answers = folder / "rows.fasta", folder / "answers.jsonl"
    ids = [f"record{number}" for number in range(len(sequences))]
    source.write_text("".join(f">{id_}\n{row}\n" for id_, row in zip(ids, sequences, strict=True)), encoding="utf-8")
    draw = random.Random()  # noqa: S311
    started, killed = time.monotonic(), 0
    options = ["-T", str(source), "-X", "POST", "-H", "content-type: text/x-fasta", f"{server.url}/jobs"]
    watch = Watch(server, json.loads(curl(*options))["id"])
    for kill in range(KILLS):
        state = watch.until(len(sequences) * (kill + draw.uniform(0.2, 0.8)) / KILLS)
        killed += state["state"] == "running"
        server.restart()
    ended = watch.until(float("inf"))
    seconds = time.monotonic() - started
    curl("-o", str(answers), f"{server.url}/jobs/{watch.job}/result")
    names = [json.loads(line).get("name") for line in answers.read_text(encoding="utf-8").splitlines()]
    wrong = sum(name != id_ for name, id_ in zip(names, ids, strict=False)) + abs(len(names) - len(ids))
    return {"records": len(ids), "state": ended["state"], "killed": killed, "wrong": wrong, "job_s": seconds}
