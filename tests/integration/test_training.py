"""Fitting: reproducible, able to learn, from scratch or from a pretrained encoder, and tracked."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import wandb
from plants import write_plants
from safetensors.torch import load_file
from stages import SMALL, plants_config, small_config
from tokenizers import Tokenizer
from transformers import (
    AutoConfig,
    AutoModel,
    BertConfig,
    BertModel,
    DistilBertConfig,
    DistilBertModel,
    PreTrainedTokenizerFast,
)

from boatyard.config.errors import UserError
from boatyard.config.schema import Config
from boatyard.data.encode import encode
from boatyard.data.prepare import prepare
from boatyard.model import predict
from boatyard.train.fit import train
from boatyard.train.trained import Trained, open_trained

pytestmark = pytest.mark.integration


def fit(config: Config) -> Trained:
    prepared = prepare(config)
    return train(config, prepared, encode(config, prepared))


def weights(trained: Trained) -> dict[str, torch.Tensor]:
    return load_file(trained.folder / "model.safetensors")


@pytest.fixture
def plants(tmp_path: Path) -> Path:
    return write_plants(tmp_path / "plants.csv")


@pytest.fixture
def tokenizer(plants_in_production: Path) -> Tokenizer:
    (file,) = plants_in_production.glob("storage/models/plants/*/tokenizer.json")
    return Tokenizer.from_file(str(file))


def test_the_same_seed_gives_the_same_weights_to_the_last_bit_and_another_seed_others(
    tmp_path: Path, plants: Path
) -> None:
    short = "train.max_steps=6", "model.text.word_dropout=0.2"
    first = fit(plants_config(tmp_path / "first", plants, *short))
    again = fit(plants_config(tmp_path / "again", plants, *short))
    other = fit(plants_config(tmp_path / "other", plants, *short, "train.seed=7"))

    assert first.metrics["validation"] == again.metrics["validation"]
    assert weights(first).keys() == weights(again).keys()
    assert all(torch.equal(tensor, weights(again)[name]) for name, tensor in weights(first).items())
    assert not torch.equal(weights(first)["head.linear.weight"], weights(other)["head.linear.weight"])


@pytest.mark.slow
def test_another_process_learns_the_same_vocabulary_and_needs_no_torch(tmp_path: Path, plants: Path) -> None:
    config = plants_config(tmp_path / "here", plants)
    here = encode(config, prepare(config))
    there = tmp_path / "there"
    ran = subprocess.run(
        [
            sys.executable,
            "-Ximporttime",
            "-m",
            "boatyard.data",
            *SMALL,
            "data=csv",
            f"data.path={plants}",
            "data.name=plants",
            "data.text_columns=[question]",
            "data.target=topic",
            f"paths.processed={there}",
            f"paths.reports={there}",
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    imported = {line.rpartition("|")[2].strip() for line in ran.stderr.splitlines()}
    assert "boatyard.data.encode" in imported
    assert not {"torch", "transformers", "sklearn"} & imported
    (tokenizer,) = there.rglob("tokenizer.json")
    assert tokenizer.read_bytes() == (here.folder / "tokenizer.json").read_bytes()


@pytest.mark.slow
def test_the_overfit_experiment_learns_its_one_batch_by_heart(tmp_path: Path) -> None:
    config = small_config(tmp_path, "experiment=overfit", small=("train.save_strategy=no", "tracking=none"))
    prepared = prepare(config)
    encoded = encode(config, prepared)
    trained = train(config, prepared, encoded)

    from boatyard.model import open_network

    network = open_network(trained.folder)
    probabilities = predict(config, network, encoded.folder, encoded.splits["train"])["probabilities"]
    assert len(probabilities) == config.data.max_train_rows == 32
    assert (probabilities.argmax(1) == prepared.targets("train")).mean() > 0.95


def test_what_is_trained_already_is_not_trained_again_until_a_setting_changes(tmp_path: Path, plants: Path) -> None:
    config = plants_config(tmp_path, plants, "train.max_steps=2")
    first = fit(config)
    written = (first.folder / "model.safetensors").stat().st_mtime_ns

    assert (fit(config).folder / "model.safetensors").stat().st_mtime_ns == written
    assert fit(plants_config(tmp_path, plants, "train.max_steps=3")).folder != first.folder


def test_an_untrained_configuration_is_named_as_such(tmp_path: Path, plants: Path) -> None:
    config = plants_config(tmp_path, plants)
    with pytest.raises(UserError, match="nothing is trained for this configuration"):
        open_trained(config, encode(config, prepare(config)))


def test_any_key_of_training_arguments_reaches_the_trainer_and_bad_combinations_are_one_sentence(
    tmp_path: Path, plants: Path
) -> None:
    from boatyard.train.arguments import training_arguments

    config = plants_config(tmp_path, plants, "train.adam_beta2=0.98", "train.warmup_steps=0.25")
    arguments = training_arguments(config, tmp_path)
    assert (arguments.adam_beta2, arguments.warmup_steps) == (0.98, 0.25)

    clash = plants_config(tmp_path, plants, "train.load_best_model_at_end=true", "train.save_strategy=steps")
    missing = plants_config(tmp_path, plants, "train.accelerator_config=nowhere.json")
    for wrong in (clash, missing):
        with pytest.raises(UserError, match=r"^train: "):
            training_arguments(wrong, tmp_path)


def test_activations_computed_again_teach_the_same(tmp_path: Path, plants: Path) -> None:
    kept = fit(plants_config(tmp_path, plants, "train.max_steps=4"))
    again = fit(plants_config(tmp_path, plants, "train.max_steps=4", "train.activation_checkpointing=true"))
    assert again.folder != kept.folder
    assert all(torch.allclose(tensor, weights(again)[name], atol=1e-6) for name, tensor in weights(kept).items())


def test_accumulated_batches_make_a_step_together(tmp_path: Path, plants: Path) -> None:
    each = fit(plants_config(tmp_path, plants, "train.num_train_epochs=2"))
    four = fit(plants_config(tmp_path, plants, "train.num_train_epochs=2", "train.gradient_accumulation_steps=4"))
    assert (each.metrics["steps"], four.metrics["steps"]) == (10, 4)


@pytest.mark.parametrize(("precision", "why"), [("bf16", r"no bf16 \(AMX\)"), ("fp16", "on a GPU only")])
def test_a_precision_that_this_machine_is_slow_at_is_refused_with_the_reason(
    tmp_path: Path, plants: Path, precision: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from boatyard.train import arguments as module

    monkeypatch.setattr(module, "_multiplies_bf16", lambda: False)
    config = plants_config(tmp_path, plants, f"train.{precision}=true", "train.use_cpu=true")
    with pytest.raises(UserError, match=rf"train\.{precision}=true: .*{why}"):
        fit(config)


@pytest.mark.parametrize("family", ["bert", "distilbert"])
def test_a_local_folder_stands_in_for_the_hub(tmp_path: Path, plants: Path, tokenizer: Tokenizer, family: str) -> None:
    if family == "bert":
        encoder: torch.nn.Module = BertModel(
            BertConfig(
                vocab_size=tokenizer.get_vocab_size(), hidden_size=16, num_hidden_layers=1, num_attention_heads=2
            )
        )
    else:
        encoder = DistilBertModel(
            DistilBertConfig(vocab_size=tokenizer.get_vocab_size(), dim=16, n_layers=1, n_heads=2)
        )
    folder = tmp_path / family
    encoder.save_pretrained(folder)  # type: ignore[operator]
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]").save_pretrained(folder)  # noqa: S106

    config = plants_config(tmp_path, plants, f"model.name={folder}", "train.max_steps=1", "train.learning_rate=1e-9")
    fitted = weights(fit(config))
    pretrained = AutoModel.from_pretrained(folder).state_dict()
    table = "embeddings.word_embeddings.weight"
    assert torch.allclose(fitted[f"backbone.encoder.{table}"], pretrained[table], atol=1e-6)
    assert not any("pooler" in name for name in fitted)


def save_encoder(folder: Path, tokenizer: Tokenizer, dtype: torch.dtype = torch.float32, seed: int = 0) -> None:
    """What a user's own encoder looks like on disk."""
    torch.manual_seed(seed)
    vocabulary = tokenizer.get_vocab_size()
    encoder = BertModel(BertConfig(vocab_size=vocabulary, hidden_size=16, num_hidden_layers=1, num_attention_heads=2))
    encoder.to(dtype).save_pretrained(folder)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]").save_pretrained(folder)  # noqa: S106


def test_an_encoder_kept_in_half_precision_is_trained_in_full(
    tmp_path: Path, plants: Path, tokenizer: Tokenizer
) -> None:
    save_encoder(tmp_path / "half", tokenizer, torch.float16)
    fitted = weights(fit(plants_config(tmp_path, plants, f"model.name={tmp_path / 'half'}", "train.max_steps=1")))
    assert {tensor.dtype for tensor in fitted.values()} == {torch.float32}


def test_other_weights_under_the_same_name_are_another_run(tmp_path: Path, plants: Path, tokenizer: Tokenizer) -> None:
    config = plants_config(tmp_path, plants, f"model.name={tmp_path / 'mine'}", "train.max_steps=1")
    save_encoder(tmp_path / "mine", tokenizer)
    first = fit(config)
    assert fit(config).folder == first.folder
    save_encoder(tmp_path / "mine", tokenizer, seed=1)
    assert fit(config).folder != first.folder


def test_the_encoder_that_comes_along_is_small_and_learns_offline(
    tmp_path: Path, plants: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    shipped = Path(__file__).parents[2] / "encoders" / "tiny-en"
    assert sum(file.stat().st_size for file in shipped.iterdir()) <= 6_000_000
    small = ("model=tiny", "train.num_train_epochs=3", "train.eval_strategy=no", "train.save_strategy=no")
    fitted = fit(plants_config(tmp_path, plants, *small, "tracking=none", small=()))
    assert fitted.metrics["validation"]["accuracy"] > 0.9


def test_without_hub_and_folder_one_sentence_says_how_to_go_on(tmp_path: Path, plants: Path) -> None:
    config = plants_config(tmp_path, plants, f"model.name={tmp_path / 'nowhere'}")
    with pytest.raises(UserError, match=r"model\.name=FOLDER"):
        fit(config)


@pytest.mark.parametrize(("family", "longest"), [("bert", 32), ("xlm-roberta", 30)])
def test_a_limit_past_what_the_encoder_reads_is_refused(
    tmp_path: Path, plants: Path, tokenizer: Tokenizer, family: str, longest: int
) -> None:
    folder = tmp_path / "short"
    shape = AutoConfig.for_model(
        family,
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=32,
    )
    AutoModel.from_config(shape).save_pretrained(folder)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]").save_pretrained(folder)  # noqa: S106
    refusal = rf"model\.text\.max_tokens=128: .* at most {longest} tokens"
    with pytest.raises(UserError, match=f"{refusal}; with model.text.long=windows"):
        fit(plants_config(tmp_path, plants, f"model.name={folder}"))
    with pytest.raises(UserError, match=f"{refusal}$"):
        fit(plants_config(tmp_path, plants, f"model.name={folder}", "model.text.long=windows"))


def test_what_joins_the_network_after_training_is_in_no_average_of_it(tmp_path: Path, plants: Path) -> None:
    config = plants_config(tmp_path, plants, "train.max_steps=1", "train.average=0.5", "model.text.wide=true")
    weights = load_file(fit(config).folder / "model.safetensors")
    assert "backbone.wide.pieces" in weights


@pytest.mark.slow
def test_an_offline_run_is_recorded_with_the_composed_configuration(tmp_path: Path, plants: Path) -> None:
    trained = fit(plants_config(tmp_path, plants, "tracking=offline", "train.max_steps=2"))
    wandb.teardown()  # the service that writes is another process, and may be a moment behind
    (recorded,) = (tmp_path / "runs" / "wandb").glob("offline-run-*")
    (binary,) = recorded.glob("run-*.wandb")
    content = binary.read_bytes()
    assert b"label_smoothing_factor" in content
    assert b"data_fingerprint" in content
    assert json.loads((trained.folder / "training.json").read_text())["steps"] == 2


def test_nothing_is_recorded_without_tracking(tmp_path: Path, plants: Path) -> None:
    fit(plants_config(tmp_path, plants, "train.max_steps=1"))
    assert not (tmp_path / "runs" / "wandb").exists()
