"""LitServe with batching:  lit.py torch|onnx"""

import os
import sys

import litserve
from answering import Answer, Request, answerer

BATCH, WAIT_SECONDS = 32, 0.005


class Api(litserve.LitAPI):
    """One worker process, which may use all cores."""

    def setup(self, device: str) -> None:  # noqa: ARG002, D102
        self.answer = answerer(sys.argv[1])

    def decode_request(self, request: Request) -> Request:  # noqa: D102
        return request

    def batch(self, inputs: list[Request]) -> list[Request]:  # noqa: D102
        return inputs

    def predict(self, requests: list[Request]) -> list[Answer]:  # noqa: D102
        return self.answer(requests)

    def unbatch(self, output: list[Answer]) -> list[Answer]:  # noqa: D102
        return output

    def encode_response(self, output: Answer) -> Answer:  # noqa: D102
        return output


if __name__ == "__main__":
    api = Api(max_batch_size=BATCH, batch_timeout=WAIT_SECONDS)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1)
    server.run(port=int(os.environ["PORT"]), generate_client_file=False, log_level="warning")
