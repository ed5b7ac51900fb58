"""ESM-2 (Lin et al. 2023) as a backbone: a transformer that is pretrained on proteins, and the mean of its vectors."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, EsmConfig, EsmModel

from boatyard.config.errors import UserError
from boatyard.inputs.pretrained import loaded, located
from boatyard.inputs.protein.sequences import OTHER, RESIDUES

_TOKENS = "LAGVSERTIDPKQNFYMHWCX"
"""In the order of its vocabulary, from `_FIRST` on; X stands for what is none of the twenty."""
_FIRST, _START, _FILL, _END = 4, 0, 1, 2
_FILES = "config.json and model.safetensors"


class EsmBackbone(nn.Module):
    """Numbers of residues to the mean of the vectors of these."""

    tokens: Tensor

    def __init__(self, encoder: EsmModel) -> None:
        super().__init__()
        self.encoder = encoder
        self.config = encoder.config  # Trainer's trackers record it
        self.width = int(encoder.config.hidden_size)
        self.register_buffer("tokens", _token_of_number(), persistent=False)

    def forward(self, residues: Tensor) -> Tensor:
        """int64[batch, residues], filled up with 0, to float[batch, width]."""
        there = residues > 0
        length = there.sum(1, keepdim=True)
        beside = torch.zeros_like(residues[:, :1])
        tokens = torch.cat([beside + _START, self.tokens[residues], beside + _FILL], 1)
        places = torch.ones_like(tokens).cumsum(1) - 1
        tokens = torch.where(places == length + 1, torch.full_like(tokens, _END), tokens)
        mask = (places <= length + 1).to(torch.int64)
        vectors: Tensor = self.encoder(input_ids=tokens, attention_mask=mask).last_hidden_state[:, 1:-1]
        read = there.unsqueeze(-1).to(vectors.dtype)
        return (vectors * read).sum(1) / length.to(vectors.dtype)

    def activation_checkpointing_enable(self, **how: Any) -> None:
        """Compute the encoder's activations again in the backward pass instead of keeping them."""
        self.encoder.activation_checkpointing_enable(**how)


def esm_shape(name: str) -> dict[str, Any]:
    """The configuration of a model on the Hub or in a folder. Raises UserError."""
    config = loaded(name, lambda: AutoConfig.from_pretrained(located(name), dtype=torch.float32), _FILES)
    if not isinstance(config, EsmConfig):
        raise UserError(f"model.name={name}: is a {config.model_type}, and proteins are read by an ESM")
    return config.to_dict()


def build_esm(shape: Mapping[str, Any], start: str | None) -> EsmBackbone:
    """With the weights of `start`, or random ones. Raises UserError."""
    if start is None:
        config = EsmConfig(**shape)
        encoder: EsmModel = EsmModel._from_config(config, attn_implementation="sdpa", add_pooling_layer=False)  # type: ignore[no-untyped-call]
        return EsmBackbone(encoder)
    options: dict[str, Any] = {"dtype": torch.float32, "add_pooling_layer": False}
    return EsmBackbone(loaded(start, lambda: EsmModel.from_pretrained(located(start), **options), _FILES))


def _token_of_number() -> Tensor:
    numbers = {residue: number for number, residue in enumerate(RESIDUES, 1)} | {"X": OTHER}
    tokens = torch.full((OTHER + 1,), _FILL)
    for place, residue in enumerate(_TOKENS):
        tokens[numbers[residue]] = _FIRST + place
    return tokens
