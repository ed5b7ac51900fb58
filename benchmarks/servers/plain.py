"""The plain way to serve a model, as in tutorials: torch, one request per pass, padded to the full length."""

import os
from pathlib import Path

import torch
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from transformers import PreTrainedTokenizerFast

from boatyard.bundle.manifest import open_bundle
from boatyard.inputs.text.serving import FEWEST_WORDS, NO_WORD
from boatyard.model import open_network

LONGEST = 128

bundle = open_bundle(Path(os.environ["BUNDLE"]))
tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(bundle.folder / "tokenizer.json"), pad_token="[PAD]")  # noqa: S106
network = open_network(bundle.folder)
app = FastAPI()


class Message(BaseModel):
    """One message."""

    text: str


@app.post("/predict")
def predict(message: Message) -> dict[str, object]:
    """The label and its probability."""
    encoded = tokenizer(message.text, padding="max_length", truncation=True, max_length=LONGEST, return_tensors="pt")
    batch = {name: encoded[name] for name in ("input_ids", "attention_mask")}
    if network.backbone.wide is not None:
        words = tokenizer(message.text, add_special_tokens=False)["input_ids"]
        batch["words"] = torch.tensor([[*words, *[NO_WORD] * (FEWEST_WORDS - len(words))]])
    with torch.inference_mode():
        probabilities = network(**batch)["logits"].softmax(-1)[0]
    best = int(probabilities.argmax())
    return {"label": bundle.manifest.target["labels"][best], "score": float(probabilities[best])}


if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ["PORT"]), log_level="warning")
