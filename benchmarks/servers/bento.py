"""BentoML with adaptive batching on the ONNX graph:  bentoml serve bento:Classifier"""

import bentoml
from answering import Answer, answerer


@bentoml.service(workers=1, traffic={"timeout": 60})
class Classifier:
    """One worker process, which may use all cores."""

    def __init__(self) -> None:
        self.answer = answerer("onnx")

    @bentoml.api(batchable=True, max_batch_size=32, max_latency_ms=1000)
    def predict(self, texts: list[str]) -> list[Answer]:
        """The label of each text, and its probability."""
        return self.answer([{"text": text} for text in texts])
