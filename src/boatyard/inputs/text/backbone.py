"""The text backbone: any transformers encoder and the mean of its token vectors."""

import inspect
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, BertConfig, BertModel, PreTrainedModel

from boatyard.config.errors import UserError
from boatyard.config.schema import Model
from boatyard.inputs.text import tokenizer
from boatyard.inputs.text.pretrained import is_bundle, loaded, located
from boatyard.inputs.text.serving import padding_id
from boatyard.inputs.text.settings import text_model


class TextBackbone(nn.Module):
    """Token ids to the mean of their vectors.

    Word dropout (Iyyer et al. 2015) hides a share of the tokens behind `hidden_id` while training.
    """

    def __init__(self, encoder: PreTrainedModel, *, word_dropout: float, hidden_id: int | None) -> None:
        super().__init__()
        self.encoder: PreTrainedModel = encoder
        self.config = encoder.config  # Trainer's trackers record it
        self.width = int(encoder.config.hidden_size)
        self.word_dropout = word_dropout
        self.hidden_id = hidden_id
        self.takes_types = "token_type_ids" in inspect.signature(encoder.forward).parameters

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None) -> Tensor:
        """[batch, tokens] to [batch, width]: the mean over the tokens that are no padding."""
        if self.training and self.word_dropout and self.hidden_id is not None:
            hide = torch.rand(input_ids.shape, device=input_ids.device) < self.word_dropout
            input_ids = input_ids.masked_fill(hide & attention_mask.bool(), self.hidden_id)
        types = {"token_type_ids": token_type_ids} if self.takes_types and token_type_ids is not None else {}
        tokens: Tensor = self.encoder(input_ids=input_ids, attention_mask=attention_mask, **types).last_hidden_state
        mask = attention_mask.unsqueeze(-1).to(tokens.dtype)
        return (tokens * mask).sum(1) / mask.sum(1)

    def activation_checkpointing_enable(self, **how: Any) -> None:
        """Compute the encoder's activations again in the backward pass instead of keeping them."""
        self.encoder.activation_checkpointing_enable(**how)

    def shape(self) -> dict[str, Any]:
        """What `restore_backbone` reads."""
        return {
            "encoder": self.encoder.config.to_dict(),
            "word_dropout": self.word_dropout,
            "hidden_id": self.hidden_id,
        }


def build_backbone(model: Model, folder: Path) -> TextBackbone:
    """A pretrained encoder, or one of `model`'s own shape with random weights. `folder`: with the tokenizer.

    Raises:
        UserError: `model.name` cannot be loaded, or does not suit the other settings.
    """
    text, tokens = text_model(model), Tokenizer.from_file(str(folder / tokenizer.FILE))
    if model.name is None:
        encoder = _from_scratch(model, tokens)
    elif is_bundle(model.name):
        encoder = _from_bundle(Path(model.name))
    else:
        encoder = _pretrained(model.name)
    longest = getattr(encoder.config, "max_position_embeddings", text.max_tokens)
    if text.max_tokens > longest:
        raise UserError(f"model.text.max_tokens={text.max_tokens}: {model.name} reads at most {longest} tokens")
    return TextBackbone(encoder, word_dropout=text.word_dropout, hidden_id=tokenizer.hidden_id(tokens))


def restore_backbone(shape: Mapping[str, Any]) -> TextBackbone:
    """One of that shape with random weights."""
    encoder = _of_shape(shape["encoder"])
    return TextBackbone(encoder, word_dropout=shape["word_dropout"], hidden_id=shape["hidden_id"])


def _from_scratch(model: Model, tokens: Tokenizer) -> PreTrainedModel:
    text = text_model(model)
    shape = text.scratch
    assert shape is not None  # the configuration sees to it
    if shape.hidden_size % shape.heads:
        raise UserError(f"model.text.scratch.heads={shape.heads}: must divide hidden_size={shape.hidden_size}")
    config = BertConfig(
        vocab_size=tokens.get_vocab_size(),
        hidden_size=shape.hidden_size,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        intermediate_size=4 * shape.hidden_size,
        hidden_dropout_prob=model.dropout,
        attention_probs_dropout_prob=model.dropout,
        max_position_embeddings=text.max_tokens,
        pad_token_id=padding_id(tokens),
    )
    return BertModel(config, add_pooling_layer=False)


def _from_bundle(bundle: Path) -> PreTrainedModel:
    """A published model's encoder. In bundle format 1 the network was one module, and the encoder at its top."""
    network = json.loads((bundle / "config.json").read_text(encoding="utf-8"))
    if network.get("input", "text") != "text":
        raise UserError(f"model.name={bundle}: this model reads {network['input']}, not text")
    shape, prefix = (network["backbone"], "backbone.encoder.") if "backbone" in network else (network, "encoder.")
    weights = load_file(bundle / "model.safetensors")
    encoder = _of_shape(shape["encoder"])
    encoder.load_state_dict({n.removeprefix(prefix): tensor for n, tensor in weights.items() if n.startswith(prefix)})
    return encoder


def _pretrained(name: str) -> PreTrainedModel:
    place = located(name)
    # in whatever precision it is stored: train.bf16 and the like choose that of training
    encoder: PreTrainedModel = loaded(name, lambda: AutoModel.from_pretrained(place, dtype=torch.float32))
    return _without_pooler(encoder)


def _of_shape(shape: Mapping[str, Any]) -> PreTrainedModel:
    config = AutoConfig.for_model(**shape)
    encoder: PreTrainedModel = AutoModel.from_config(config, attn_implementation="sdpa")  # type: ignore[no-untyped-call]
    return _without_pooler(encoder)


def _without_pooler(encoder: PreTrainedModel) -> PreTrainedModel:
    encoder.register_module("pooler", None)  # nothing would train its weights
    return encoder
