"""The text backbone: any transformers encoder and the mean of its token vectors, and a wide branch beside it."""

import inspect
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, BertConfig, BertModel, PretrainedConfig, PreTrainedModel

from boatyard.config.errors import UserError
from boatyard.config.schema import Model
from boatyard.inputs.defaults import alternative, open_variation  # noqa: F401 - for `training`
from boatyard.inputs.pretrained import is_bundle, loaded, located
from boatyard.inputs.text import tokenizer
from boatyard.inputs.text.serving import padding_id
from boatyard.inputs.text.settings import text_model
from boatyard.inputs.text.wide import WideBranch

if TYPE_CHECKING:
    from datasets import Dataset

_POSITIONS_AFTER_PADDING = ("roberta", "camembert", "mpnet", "data2vec-text", "longformer", "xmod")
_PRECISION = torch.float32  # in whatever an encoder is stored: train.bf16 and the like choose that of training


class TextBackbone(nn.Module):
    """Token ids to the mean of their vectors. `in_windows`: a text may have several rows of them.

    Word dropout (Iyyer et al. 2015) hides a share of the tokens behind `hidden_id` while training. The sums of a wide
    branch, once there is one, are features like the encoder's, but no part of the embedding.
    """

    def __init__(
        self, encoder: PreTrainedModel, *, word_dropout: float, hidden_id: int | None, in_windows: bool
    ) -> None:
        super().__init__()
        self.encoder: PreTrainedModel = encoder
        self.config = encoder.config  # Trainer's trackers record it
        self.width = self.embedded = int(encoder.config.hidden_size)
        self.word_dropout = word_dropout
        self.hidden_id = hidden_id
        self.in_windows = in_windows
        self.summed_in: torch.dtype | None = None  # the encoder's own
        self.wide: WideBranch | None = None
        self.takes_types = "token_type_ids" in inspect.signature(encoder.forward).parameters

    def widen(self, branch: WideBranch) -> None:
        """Take the branch's sums as further features."""
        self.wide = branch.to(self.encoder.device)
        self.width += branch.pieces.shape[1]

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        token_type_ids: Tensor | None = None,
        words: Tensor | None = None,
        windows: Tensor | None = None,
    ) -> Tensor:
        """[batch, tokens] to [batch, width]: the mean over the tokens that are no padding; `words`: for the branch.

        `windows`, int64[batch]: how many rows of the others each text has, one after another; the mean is over all its
        tokens then.
        """
        if self.training and self.word_dropout and self.hidden_id is not None:
            hide = torch.rand(input_ids.shape, device=input_ids.device) < self.word_dropout
            input_ids = input_ids.masked_fill(hide & attention_mask.bool(), self.hidden_id)
        types = {"token_type_ids": token_type_ids} if self.takes_types and token_type_ids is not None else {}
        tokens: Tensor = self.encoder(input_ids=input_ids, attention_mask=attention_mask, **types).last_hidden_state
        precision = self.summed_in or tokens.dtype
        mask = attention_mask.unsqueeze(-1).to(precision)
        sums, lengths = (tokens.to(precision) * mask).sum(1), mask.sum(1)
        if windows is not None:
            own = _of_each_text(windows, input_ids.shape[0]).to(precision)
            sums, lengths = own @ sums, own @ lengths
        mean = (sums / lengths).to(tokens.dtype)
        if self.wide is None:
            return mean
        assert words is not None
        return torch.cat([mean, self.wide(words)], 1)

    def activation_checkpointing_enable(self, **how: Any) -> None:
        """Compute the encoder's activations again in the backward pass instead of keeping them."""
        self.encoder.activation_checkpointing_enable(**how)


def _of_each_text(windows: Tensor, rows: int) -> Tensor:
    """bool[batch, rows]: which rows are the windows of each text.

    Raises:
        UserError: they do not add up, as where torch's DataParallel has cut a batch in pieces.
    """
    if not torch.onnx.is_in_onnx_export() and int(windows.sum()) != rows:
        raise UserError(
            "model.text.long=windows: on several GPUs, a process for each is needed: start it with torchrun"
        )
    ends = windows.cumsum(0).unsqueeze(1)
    numbers = torch.arange(rows, device=windows.device)
    return (numbers >= ends - windows.unsqueeze(1)) & (numbers < ends)


def open_learner(model: Model, training: "Dataset", validation: "Dataset", seed: int) -> None:
    """None: encoders are trained."""


def backbone_shape(model: Model, folder: Path) -> dict[str, Any]:
    """The configuration of a pretrained encoder, or of one from scratch. `folder`: with the tokenizer.

    Raises:
        UserError: that of `model.name` cannot be loaded, or does not suit the other settings.
    """
    text, tokens = text_model(model), Tokenizer.from_file(str(folder / tokenizer.FILE))
    if model.name is None:
        config: PretrainedConfig = _scratch(model, tokens)
    elif is_bundle(model.name):
        shape, _ = _of_bundle(Path(model.name))
        config = AutoConfig.for_model(**shape)
    else:
        config = _pretrained_config(model.name)
    if text.max_tokens > (longest := _most_tokens(config)):
        hint = "" if text.long == "windows" else "; with model.text.long=windows it reads so many at a time"
        raise UserError(f"model.text.max_tokens={text.max_tokens}: {model.name} reads at most {longest} tokens{hint}")
    hidden_id = tokenizer.hidden_id(tokens)
    in_windows = {"in_windows": True} if text.long == "windows" else {}
    return {"encoder": config.to_dict(), "word_dropout": text.word_dropout, "hidden_id": hidden_id, **in_windows}


def build_backbone(shape: Mapping[str, Any], start: str | None) -> TextBackbone:
    """Around a pretrained encoder, or one of random weights.

    Raises:
        UserError: what `start` names cannot be loaded.
    """
    if start is None:
        encoder = _random(shape["encoder"])
    elif is_bundle(start):
        encoder = _from_bundle(Path(start))
    else:
        encoder = _pretrained(start)
    backbone = TextBackbone(
        encoder,
        word_dropout=shape["word_dropout"],
        hidden_id=shape["hidden_id"],
        in_windows=shape.get("in_windows", False),
    )
    if (wide := shape.get("wide")) is not None:
        backbone.widen(WideBranch(**wide))
    return backbone


def _scratch(model: Model, tokens: Tokenizer) -> BertConfig:
    text = text_model(model)
    shape = text.scratch
    assert shape is not None  # the configuration sees to it
    if shape.hidden_size % shape.heads:
        raise UserError(f"model.text.scratch.heads={shape.heads}: must divide hidden_size={shape.hidden_size}")
    return BertConfig(
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


def _most_tokens(config: PretrainedConfig) -> int:
    """For how many an encoder has positions. RoBERTa's and its relatives' come after that of padding."""
    positions: int = getattr(config, "max_position_embeddings", sys.maxsize)
    if config.model_type.endswith(_POSITIONS_AFTER_PADDING):
        return positions - (config.pad_token_id or 0) - 1
    return positions


def _of_bundle(bundle: Path) -> tuple[dict[str, Any], str]:
    """A published model's encoder: its configuration, and how the names of its weights begin.

    In bundle format 1 the network was one module, and the encoder at its top.
    """
    network = json.loads((bundle / "config.json").read_text(encoding="utf-8"))
    if network.get("input", "text") != "text":
        raise UserError(f"model.name={bundle}: this model reads {network['input']}, not text")
    if "backbone" in network:
        return network["backbone"]["encoder"], "backbone.encoder."
    return network["encoder"], "encoder."


def _from_bundle(bundle: Path) -> PreTrainedModel:
    shape, prefix = _of_bundle(bundle)
    weights = load_file(bundle / "model.safetensors")
    encoder = _random(shape)
    encoder.load_state_dict({n.removeprefix(prefix): tensor for n, tensor in weights.items() if n.startswith(prefix)})
    return encoder


def _pretrained_config(name: str) -> PretrainedConfig:
    config: PretrainedConfig = loaded(name, lambda: AutoConfig.from_pretrained(located(name), dtype=_PRECISION))
    return config


def _pretrained(name: str) -> PreTrainedModel:
    encoder: PreTrainedModel = loaded(name, lambda: AutoModel.from_pretrained(located(name), dtype=_PRECISION))
    return _without_pooler(encoder)


def _random(shape: Mapping[str, Any]) -> PreTrainedModel:
    config = AutoConfig.for_model(**shape)
    encoder: PreTrainedModel
    if isinstance(config, BertConfig):  # as one from scratch is
        encoder = BertModel._from_config(config, attn_implementation="sdpa", add_pooling_layer=False)  # type: ignore[no-untyped-call]
        return encoder
    encoder = AutoModel.from_config(config)  # type: ignore[no-untyped-call]  # DeBERTa has no sdpa
    return _without_pooler(encoder)


def _without_pooler(encoder: PreTrainedModel) -> PreTrainedModel:
    encoder.register_module("pooler", None)  # nothing would train its weights
    return encoder
