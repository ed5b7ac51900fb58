"""A common way to keep predictions: one CSV, which is read, extended by a row and written back for each of them.

At its best: the row is stored before the answer is sent, and the file is replaced atomically, as an object in a bucket
is, so that nobody reads a partial one.
"""

import csv
import os
from datetime import UTC, datetime
from pathlib import Path
from tempfile import gettempdir
from typing import Any
from uuid import uuid4

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

from boatyard.bundle.predict import Predictor
from boatyard.registry import Reference, fetch
from boatyard.storage import open_storage

FILE = Path(os.environ["ONE_CSV"])

app = FastAPI()
predictor = Predictor(fetch(open_storage(os.environ["BOATYARD_STORAGE"]), Reference("inbox"), Path(gettempdir())))


class Message(BaseModel):
    """A request."""

    text: str


@app.post("/predict")
def predict(message: Message) -> dict[str, Any]:
    """The label and its probability, once stored."""
    (prediction,) = predictor.answer([predictor.model.parse({"text": message.text})])
    answer = {"id": uuid4().hex, "label": prediction.label, "score": prediction.score}
    append({"time": datetime.now(UTC).isoformat(), "text": message.text, **answer})
    return answer


def append(row: dict[str, Any]) -> None:
    """Read all, append, write all."""
    rows: list[dict[str, Any]] = []
    if FILE.exists():
        with FILE.open(newline="", encoding="utf-8") as file:
            rows = [*csv.DictReader(file)]
    rows.append(row)
    new = FILE.with_name(f"{uuid4().hex}.csv")
    with new.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, row)
        writer.writeheader()
        writer.writerows(rows)
    new.replace(FILE)


if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ["PORT"]), log_level="warning", access_log=False)
