"""Pictures over HTTP:  python benchmarks/pictures.py MODEL FOLDER

MODEL is published here, such as harbour after `uv run invoke pipeline -o data=harbour`; FOLDER has pictures that it
reads, such as data/raw/harbour/scenes. They are sent as JPEG, as they are and enlarged to a megabyte, by wrk (apt
install wrk). Writes reports/benchmarks/pictures.md and .json.
"""

import os
import sys
import tempfile
import time
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from load import BOATYARD, Server, wrk
from PIL import Image
from report import write_report

from boatyard.config.errors import UserError
from boatyard.evaluate.markdown import table

JPEG = "image/jpeg"
PICTURES = 100
CONNECTIONS = (1, 8, 32)
SECONDS = 8
LARGE = 10**6
"""Bytes."""
GOALS = "A 160 x 160 JPEG: a median of 6 ms, and 350 a second at 32 connections. One of 1 MB: a median of 60 ms."


def write_pictures(scenes: Path, folder: Path) -> dict[str, Path]:
    """For wrk, the files of each kind."""
    files = sorted(file for file in scenes.iterdir() if file.is_file())[:PICTURES]
    kinds: dict[str, list[Path]] = {"as they are": [], "of 1 MB": []}
    for number, file in enumerate(files):
        picture = Image.open(file).convert("RGB")
        small = folder / f"{number}.jpg"
        picture.save(small, "JPEG", quality=90)
        kinds["as they are"].append(small)
        if number < PICTURES // 10:
            large = folder / f"{number}-large.jpg"
            large.write_bytes(enlarged(picture, number))
            kinds["of 1 MB"].append(large)
    lists = {name: folder / f"{number}.txt" for number, name in enumerate(kinds)}
    for name, those in kinds.items():
        lists[name].write_text("".join(f"{file}\n" for file in those))
    return lists


def enlarged(picture: Image.Image, seed: int) -> bytes:
    """With as much of a camera's noise as makes a megabyte of six megapixels."""
    large = np.asarray(picture.resize((3000, 2000)), np.int16)
    noisy = large + np.random.default_rng(seed).integers(-6, 7, large.shape, np.int16)
    photo, content = Image.fromarray(np.uint8(noisy.clip(0, 255))), BytesIO()
    for quality in range(95, 20, -5):
        content = BytesIO()
        photo.save(content, "JPEG", quality=quality)
        if len(content.getvalue()) <= 1.1 * LARGE:
            break
    return content.getvalue()


def measure(model: str, lists: dict[str, Path], folder: Path) -> list[dict[str, Any]]:
    """A row for each kind and number of connections."""
    storage = os.environ.get("BOATYARD_STORAGE", ".")
    environment = {"BOATYARD_STORAGE": storage, "BOATYARD_MODEL": model, "BOATYARD_SPOOL": str(folder / "spool")}
    rows: list[dict[str, Any]] = []
    with Server(BOATYARD, folder / "server.log", **environment) as server:
        wait(server)
        for kind, files in lists.items():
            wrk(server, files, 8, 2, JPEG)
            for connections in CONNECTIONS:
                before = server.cpu_seconds
                load = wrk(server, files, connections, SECONDS, JPEG)
                cpu_ms = 1000 * (server.cpu_seconds - before) / max(load["answered"], 1)
                rows.append({"kind": kind, "connections": connections, "cpu_ms": cpu_ms, **load})
        rows[-1]["memory_mb"] = server.megabytes("VmHWM")
    return rows


def wait(server: Server) -> None:
    """Until it answers."""
    while True:
        try:
            if httpx.get(f"{server.url}/readyz").status_code == 200:
                return
        except httpx.TransportError:
            if server.process.poll() is not None:
                sys.exit(server.log.read_text())
        time.sleep(0.1)


def main(model: str, scenes: str) -> None:
    """Measure, and write the report."""
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(model, write_pictures(Path(scenes), Path(folder)), Path(folder))
    header = ("JPEG", "Connections", "A second", "p50, ms", "p95, ms", "CPU of each, ms", "Refused")
    cells = [
        (
            row["kind"],
            str(row["connections"]),
            f"{row['per_second']:.0f}",
            *(f"{row[name]:.1f}" for name in ("p50_ms", "p95_ms", "cpu_ms")),
            str(row["refused"] + row["broken"]),
        )
        for row in rows
    ]
    text = ["# Pictures over HTTP", __doc__.strip(), GOALS, table(header, cells, align="lrrrrrr")]
    text.append(f"The server had {rows[-1]['memory_mb']:.0f} MB at most.")
    write_report("pictures", text, {"model": model, "rows": rows}, ["numpy", "onnxruntime", "pillow"])
    print(*text, sep="\n\n")  # noqa: T201


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except (TypeError, UserError) as wrong:
        sys.exit(f"{wrong}\n\n{__doc__}")
