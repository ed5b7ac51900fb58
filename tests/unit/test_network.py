"""The network: saved and opened without a difference, continued from a published one, and asked in any order."""

import json
import unicodedata
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnxruntime as ort
import pytest
import torch
from datasets import Dataset
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from torch import Tensor
from transformers import AutoConfig, GPT2Config, PreTrainedTokenizerFast

from boatyard import inputs, tasks
from boatyard.config.compose import load_config
from boatyard.config.errors import UserError
from boatyard.config.schema import Config, Model
from boatyard.data.encode import Encoded
from boatyard.inputs.text.backbone import TextBackbone, backbone_shape, build_backbone
from boatyard.inputs.text.encoder import make_inputs, open_encoder
from boatyard.inputs.text.graph import export_graph
from boatyard.inputs.text.tokenizer import make_tokenizer
from boatyard.model import Network, Served, new_network, open_network, predict, save_network

pytestmark = pytest.mark.unit

ROWS = [("the slip is taken",), ("fuel",), ("who repairs a torn sail on a sunday morning",), ("a berth for the night",)]
TARGETS: dict[str, dict[str, Any]] = {
    "classification": {"labels": ["berth", "fuel", "repair"]},
    "regression": {"log": False, "mean": 100.0, "std": 20.0},
}
(MOORINGS,) = (Path(__file__).parents[1] / "fixtures/format-1/storage/models/moorings").glob("[0-9]*")
SMALL = (
    "model=scratch",
    "model.text.max_tokens=32",
    "model.text.scratch.vocabulary=200",
    "model.text.scratch.hidden_size=16",
    "model.text.scratch.layers=1",
)


def config(task: str, *overrides: str) -> Config:
    rows = ("data=csv", "data.name=moorings", "data.path=rows.csv", "data.target=answer")
    return load_config([*SMALL, *rows, f"data.task={task}", *overrides])


def model(*overrides: str) -> Model:
    return config("classification", *overrides).model


@pytest.fixture(scope="module")
def encoded(tmp_path_factory: pytest.TempPathFactory) -> Encoded:
    folder = tmp_path_factory.mktemp("encoded")
    make_inputs(model(), config("classification").data, ROWS * 3, folder)
    columns = open_encoder(folder).encode(ROWS)
    rows = Dataset.from_dict({name: column.to_pylist() for name, column in columns.items()})
    return Encoded(folder, "0" * 16, {"test": rows})


def batch(encoded: Encoded) -> dict[str, Tensor]:
    return open_encoder(encoded.folder).collate(encoded.splits["test"].to_list())


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_what_is_saved_opens_as_the_same_network(task: str, encoded: Encoded, tmp_path: Path) -> None:
    network = new_network(config(task), TARGETS[task], encoded)
    save_network(network, tmp_path)
    opened = open_network(tmp_path)
    assert opened.state_dict().keys() == network.state_dict().keys()
    for ours, theirs in zip(Served(network)(**batch(encoded)), Served(opened)(**batch(encoded)), strict=True):
        assert torch.equal(ours, theirs)
    assert json.loads((tmp_path / "config.json").read_text()).keys() == {"input", "task", "backbone", "head"}
    assert sorted(file.name for file in tmp_path.iterdir()) == ["config.json", "model.safetensors"], "no pickle"


def test_the_same_seed_makes_the_same_network_and_another_seed_another(encoded: Encoded) -> None:
    def weights(seed: int) -> Tensor:
        network = new_network(config("classification", f"train.seed={seed}"), TARGETS["classification"], encoded)
        return torch.cat([parameter.detach().flatten() for parameter in network.parameters()])

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


def test_a_loss_is_there_where_targets_are_and_its_division_is_left_to_trainer(encoded: Encoded) -> None:
    network = new_network(config("regression"), TARGETS["regression"], encoded)
    assert network(**batch(encoded)).keys() == {"value", "standard", "log_spread"}
    assert list(network(**batch(encoded), labels=torch.ones(4)))[:2] == ["loss", "value"]
    assert network.accepts_loss_kwargs is False


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_outputs_come_by_name_and_in_the_rows_order_however_they_are_batched(task: str, encoded: Encoded) -> None:
    network = new_network(config(task), TARGETS[task], encoded)
    rows = encoded.splits["test"]
    together = predict(config(task), network, encoded.folder, rows)
    assert list(together) == list(tasks.serving(task).OUTPUTS)
    alone = [predict(config(task), network, encoded.folder, rows.select([index])) for index in range(len(rows))]
    for name, output in together.items():
        assert output == pytest.approx(np.concatenate([each[name] for each in alone]), rel=1e-4, abs=1e-5)


def test_the_graph_answers_as_the_network_does(encoded: Encoded, tmp_path: Path) -> None:
    import onnxruntime as ort

    names = ["value", "spread", "embedding"]
    network = new_network(config("regression"), TARGETS["regression"], encoded)
    expected = [output.detach().numpy() for output in Served(network)(**batch(encoded))]
    inputs.training("text").export_graph(Served(network), batch(encoded), names, tmp_path / "model.onnx")
    session = ort.InferenceSession(tmp_path / "model.onnx")
    feeds = {node.name: batch(encoded).get(node.name, torch.zeros(0)).numpy() for node in session.get_inputs()}
    feeds["token_type_ids"] = np.zeros_like(feeds["input_ids"])
    for ours, theirs in zip(expected, session.run(names, feeds), strict=True):
        assert theirs == pytest.approx(ours, rel=1e-3, abs=1e-4)


SHAPES: dict[str, dict[str, Any]] = {
    "deberta-v2": {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_buckets": 8},
    "roberta": {},
}


@pytest.mark.parametrize("family", SHAPES)
def test_an_encoder_of_any_family_is_opened_again_and_exported(family: str, tmp_path: Path) -> None:
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    encoder = AutoConfig.for_model(family, vocab_size=60, **sizes, **SHAPES[family]).to_dict()
    shape = {"encoder": encoder, "word_dropout": 0.0, "hidden_id": None}
    backbone, task = build_backbone(shape, None), tasks.training("classification")
    head = task.head_shape(TARGETS["classification"], model())
    made = {"input": "text", "task": "classification", "backbone": shape, "head": head}
    save_network(Network(backbone, task.build_head(backbone.width, head), made), tmp_path)
    network = open_network(tmp_path)
    ids = torch.randint(5, 60, (3, 20))
    batch = {"input_ids": ids, "attention_mask": (torch.arange(20) < torch.tensor([[20], [9], [2]])).long()}
    with torch.no_grad():
        expected = network(**batch)["logits"]
    graph = tmp_path / "model.onnx"
    export_graph(Served(network), {}, ["logits", "probabilities", "embedding"], graph)
    session = ort.InferenceSession(graph)
    feeds = {"token_type_ids": np.zeros_like(ids)} | {name: tensor.numpy() for name, tensor in batch.items()}
    (logits,) = session.run(["logits"], {node.name: feeds[node.name] for node in session.get_inputs()})
    np.testing.assert_allclose(logits, expected, atol=1e-5)


def test_a_vocabulary_of_bytes_reads_composed_and_decomposed_letters_alike(tmp_path: Path) -> None:
    learnt = Tokenizer(models.BPE())
    learnt.pre_tokenizer = pre_tokenizers.ByteLevel()
    learnt.train_from_iterator([], trainers.BpeTrainer(initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    PreTrainedTokenizerFast(tokenizer_object=learnt).save_pretrained(tmp_path)
    GPT2Config().save_pretrained(tmp_path)
    tokenizer = make_tokenizer(model(f"model.name={tmp_path}"), [], [])
    composed, decomposed = (tokenizer.encode(unicodedata.normalize(form, "envío")).ids for form in ("NFC", "NFD"))
    assert composed == decomposed


def test_a_backbone_without_checkpointed_activations_says_so() -> None:
    with pytest.raises(UserError, match=r"train\.activation_checkpointing=true"):
        Network(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2), {}).activation_checkpointing_enable()


def started(model: Model, folder: Path) -> TextBackbone:
    return build_backbone(backbone_shape(model, folder), model.name)


def read(backbone: TextBackbone) -> Tensor:
    with torch.no_grad():
        embedded: Tensor = backbone.eval()(torch.tensor([[2, 10, 11, 12, 3]]), torch.ones(1, 5, dtype=torch.int64))
    return embedded[0]


def test_a_bundle_of_format_1_is_continued_with_the_backbone_that_it_had() -> None:
    backbone = started(model(f"model.name={MOORINGS}"), MOORINGS)
    by_the_version_before = [0.824381, 0.394268, 0.160775, -0.244317, 0.415852, 0.417098, -0.18205, -0.587508]
    assert read(backbone)[:8].tolist() == pytest.approx(by_the_version_before, abs=1e-5)


def test_a_bundle_is_continued_for_another_task_with_the_same_backbone(encoded: Encoded, tmp_path: Path) -> None:
    network = new_network(config("classification"), TARGETS["classification"], encoded)
    save_network(network, tmp_path)
    (tmp_path / "bundle.json").write_text("{}")
    tokens = Tokenizer.from_file(str(encoded.folder / "tokenizer.json"))
    tokens.save(str(tmp_path / "tokenizer.json"))
    continued = started(model(f"model.name={tmp_path}"), tmp_path)
    assert torch.equal(read(continued), read(cast(TextBackbone, network.backbone)))
    regression = tasks.training("regression")
    head = regression.build_head(continued.width, regression.head_shape(TARGETS["regression"], model()))
    assert Network(continued, head, {})(**batch(encoded))["value"].shape == (4,)


def test_a_bundle_of_another_input_is_refused(encoded: Encoded, tmp_path: Path) -> None:
    (tmp_path / "bundle.json").write_text("{}")
    (tmp_path / "config.json").write_text(json.dumps({"input": "sequence", "backbone": {}}))
    save_file({}, tmp_path / "model.safetensors")
    with pytest.raises(UserError, match="this model reads sequence, not text"):
        started(model(f"model.name={tmp_path}"), encoded.folder)
