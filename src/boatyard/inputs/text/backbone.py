"""The network: any transformers encoder, the mean of its token vectors, a linear head."""

import inspect
import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, BertConfig, BertModel, PreTrainedModel

from boatyard.config.errors import UserError
from boatyard.config.schema import Model, Scratch
from boatyard.inputs.text import tokenizer
from boatyard.inputs.text.pretrained import is_bundle, loaded, located
from boatyard.inputs.text.serving import padding_id

WEIGHTS, SHAPE = "model.safetensors", "config.json"


class TextClassifier(nn.Module):
    """Logits over the labels for a batch of token ids.

    Word dropout (Iyyer et al. 2015) hides a share of the tokens behind `hidden_id` while training.
    """

    def __init__(
        self, encoder: PreTrainedModel, classes: int, *, dropout: float, word_dropout: float, hidden_id: int | None
    ) -> None:
        super().__init__()
        self.encoder: PreTrainedModel = encoder
        self.config = encoder.config  # Trainer asks for it
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(encoder.config.hidden_size, classes)
        self.word_dropout = word_dropout
        self.hidden_id = hidden_id
        self.takes_types = "token_type_ids" in inspect.signature(encoder.forward).parameters

    def embed(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None) -> Tensor:
        """[batch, tokens] to [batch, hidden]: the mean over the tokens that are no padding."""
        types = {"token_type_ids": token_type_ids} if self.takes_types and token_type_ids is not None else {}
        tokens: Tensor = self.encoder(input_ids=input_ids, attention_mask=attention_mask, **types).last_hidden_state
        mask = attention_mask.unsqueeze(-1).to(tokens.dtype)
        return (tokens * mask).sum(1) / mask.sum(1)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        token_type_ids: Tensor | None = None,
        labels: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Logits [batch, classes]; with `labels` [batch] their cross-entropy too."""
        if self.training and self.word_dropout and self.hidden_id is not None:
            hide = torch.rand(input_ids.shape, device=input_ids.device) < self.word_dropout
            input_ids = input_ids.masked_fill(hide & attention_mask.bool(), self.hidden_id)
        logits = self.head(self.dropout(self.embed(input_ids, attention_mask, token_type_ids)))
        if labels is None:
            return {"logits": logits}
        return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}

    def activation_checkpointing_enable(self, **how: Any) -> None:
        """Compute the encoder's activations again in the backward pass instead of keeping them; Trainer asks for it."""
        self.encoder.activation_checkpointing_enable(**how)

    def save(self, folder: Path) -> None:
        """Weights and shape, without pickle."""
        weights = save({name: tensor.contiguous() for name, tensor in self.state_dict().items()})
        (folder / WEIGHTS).write_bytes(weights)  # `save_file` tells of a full disk in an error of its own
        shape = {
            "encoder": self.encoder.config.to_dict(),
            "classes": self.head.out_features,
            "dropout": self.dropout.p,
            "word_dropout": self.word_dropout,
            "hidden_id": self.hidden_id,
        }
        (folder / SHAPE).write_text(json.dumps(shape, indent=2), encoding="utf-8")


def build(model: Model, classes: int, folder: Path) -> TextClassifier:
    """A new head on a pretrained encoder, or on one of `model`'s own shape with random weights.

    `folder`: of the inputs, with their tokenizer.
    """
    tokens = Tokenizer.from_file(str(folder / tokenizer.FILE))
    if model.name is None:
        assert model.scratch is not None  # the configuration sees to it
        encoder = _from_scratch(model, model.scratch, tokens.get_vocab_size(), padding_id(tokens))
    elif is_bundle(model.name):
        encoder = load(Path(model.name)).encoder
    else:
        name = located(model.name)
        # however it is kept: train.bf16 and its like choose the precision of training
        encoder = loaded(model.name, lambda: AutoModel.from_pretrained(name, dtype=torch.float32))
        encoder.pooler = None  # its weights would be trained by nothing
    longest = getattr(encoder.config, "max_position_embeddings", model.max_tokens)
    if model.max_tokens > longest:
        raise UserError(f"model.max_tokens={model.max_tokens}: {model.name} reads at most {longest} tokens")
    return TextClassifier(
        encoder,
        classes,
        dropout=model.dropout,
        word_dropout=model.word_dropout,
        hidden_id=tokenizer.hidden_id(tokens),
    )


def load(folder: Path, *, attention: str = "sdpa") -> TextClassifier:
    """What `save` wrote, ready to answer. `attention`: transformers' attn_implementation."""
    shape = json.loads((folder / SHAPE).read_text(encoding="utf-8"))
    config = AutoConfig.for_model(**shape.pop("encoder"))
    encoder = AutoModel.from_config(config, attn_implementation=attention)  # type: ignore[no-untyped-call]
    encoder.pooler = None
    network = TextClassifier(encoder, shape.pop("classes"), **shape)
    network.load_state_dict(load_file(folder / WEIGHTS))
    return network.eval()


def _from_scratch(model: Model, shape: Scratch, vocabulary: int, padding: int) -> PreTrainedModel:
    if shape.hidden_size % shape.heads:
        raise UserError(f"model.scratch.heads={shape.heads}: must divide hidden_size={shape.hidden_size}")
    config = BertConfig(
        vocab_size=vocabulary,
        hidden_size=shape.hidden_size,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        intermediate_size=4 * shape.hidden_size,
        hidden_dropout_prob=model.dropout,
        attention_probs_dropout_prob=model.dropout,
        max_position_embeddings=model.max_tokens,
        pad_token_id=padding,
    )
    return BertModel(config, add_pooling_layer=False)
