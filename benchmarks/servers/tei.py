"""How text-embeddings-inference (Hugging Face, in Rust) batches on a CPU, rebuilt from its description: no original.

Texts are tokenised as they come, and wait in one queue. A batch takes them in their order, as long as, padded to the
longest, they stay within a budget of tokens, and as its ONNX Runtime backend takes no more than 8 requests. One session
with all cores runs a batch after the other, and the next one is already put together while one runs. Like the original
it keeps no journal. uvicorn speaks HTTP here, without a framework, which takes more of the processor than Rust would.
"""

import asyncio
import os
import queue
import threading
from typing import Any, NamedTuple

import uvicorn
from answering import Answer, Model, open_model
from pydantic_core import from_json, to_json

from boatyard.inputs.text.serving import EncodedText

BATCH_TOKENS, BATCH_REQUESTS = 16_384, 8
PREFETCHED = 1


class Entry(NamedTuple):
    """A text, and whoever waits for its answer."""

    encoded: EncodedText
    answer: "asyncio.Future[Answer]"


class Batches:
    """One thread puts them together, another runs them."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self._entries: queue.SimpleQueue[Entry] = queue.SimpleQueue()
        self._ready: queue.Queue[list[Entry]] = queue.Queue(PREFETCHED)
        for work in (self._gather, self._run):
            threading.Thread(target=work, daemon=True).start()

    def submit(self, encoded: EncodedText) -> "asyncio.Future[Answer]":
        """Its answer, later."""
        entry = Entry(encoded, asyncio.get_running_loop().create_future())
        self._entries.put(entry)
        return entry.answer

    def _gather(self) -> None:
        left: Entry | None = None
        while True:
            batch = [left or self._entries.get()]
            left, longest = None, batch[0].encoded.cost
            while len(batch) < BATCH_REQUESTS and left is None and not self._entries.empty():
                entry = self._entries.get()
                longest = max(longest, entry.encoded.cost)
                if longest * (len(batch) + 1) > BATCH_TOKENS:
                    left = entry
                else:
                    batch.append(entry)
            self._ready.put(batch)

    def _run(self) -> None:
        while True:
            batch = self._ready.get()
            answers = self.model.answer([entry.encoded for entry in batch])
            batch[0].answer.get_loop().call_soon_threadsafe(_deliver, batch, answers)


def _deliver(batch: list[Entry], answers: list[Answer]) -> None:
    for entry, answer in zip(batch, answers, strict=True):
        if not entry.answer.done():
            entry.answer.set_result(answer)


batches = Batches(open_model("onnx"))


async def app(_scope: Any, receive: Any, send: Any) -> None:
    """Answers each request as if it were for /predict."""
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    (encoded,) = batches.model.encode([from_json(body)])
    content = to_json(await batches.submit(encoded))
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(content))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": content})


if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ["PORT"]), log_level="warning", access_log=False, lifespan="off")
