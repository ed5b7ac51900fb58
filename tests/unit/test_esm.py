"""A pretrained transformer of proteins: its own tokens, whatever else is in the batch, and the same as a graph."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from tiny_esm import VOCABULARY, write_esm
from transformers import BertConfig, EsmModel, EsmTokenizer

from boatyard.config.compose import load_config
from boatyard.config.errors import UserError
from boatyard.inputs.protein.backbone import backbone_shape, build_backbone, export_graph, quantize_graph
from boatyard.inputs.protein.esm import EsmBackbone
from boatyard.inputs.protein.sequences import RESIDUES, numbers
from boatyard.model import Network, Served
from boatyard.tasks.classification.head import ClassificationHead

pytestmark = pytest.mark.unit

SEQUENCES = ("MKTAYIAKQRQISFVKSHFSRQ", "GWPNDCHL", "MXKV")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_esm(tmp_path / "esm")


def opened(folder: Path) -> EsmBackbone:
    config = load_config(["data=resistance", "model=esm2", f"model.name={folder}"])
    backbone = build_backbone(backbone_shape(config.model, folder), config.model.name).eval()
    assert isinstance(backbone, EsmBackbone)
    return backbone


def batch(*sequences: str) -> torch.Tensor:
    filled = torch.zeros(len(sequences), max(map(len, sequences)), dtype=torch.int64)
    for line, sequence in zip(filled, sequences, strict=True):
        line[: len(sequence)] = torch.as_tensor(numbers(sequence))
    return filled


@torch.no_grad()
def test_residues_are_its_own_tokens_and_the_features_the_mean_of_their_vectors(folder: Path) -> None:
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY))
    tokenizer = EsmTokenizer(str(folder / "vocab.txt"))
    encoder = EsmModel.from_pretrained(folder, add_pooling_layer=False).eval()
    features = opened(folder)(batch(*SEQUENCES))
    for sequence, found in zip(SEQUENCES, features, strict=True):
        tokens = torch.tensor([tokenizer(sequence)["input_ids"]])
        vectors = encoder(input_ids=tokens, attention_mask=torch.ones_like(tokens)).last_hidden_state
        assert torch.allclose(found, vectors[0, 1:-1].mean(0), atol=1e-5)


@torch.no_grad()
def test_a_network_that_was_saved_is_built_again_by_its_shape(folder: Path) -> None:
    backbone = opened(folder)
    config = load_config(["data=resistance", "model=esm2", f"model.name={folder}"])
    again = build_backbone(backbone_shape(config.model, folder), None).eval()
    assert not torch.allclose(again(batch(*SEQUENCES)), backbone(batch(*SEQUENCES)))
    again.load_state_dict(backbone.state_dict())
    assert torch.equal(again(batch(*SEQUENCES)), backbone(batch(*SEQUENCES)))


def test_its_graph_answers_the_same_alone_and_in_any_batch(folder: Path, tmp_path: Path) -> None:
    network = Network(opened(folder), ClassificationHead(16, 3, dropout=0.5), {})
    network.train()  # as training leaves it
    graph = tmp_path / "model.onnx"
    names = ["logits", "probabilities", "embedding"]
    export_graph(Served(network), {"residues": batch(SEQUENCES[1], SEQUENCES[1])}, names, graph)
    session = ort.InferenceSession(graph)
    together = session.run(names, {"residues": batch(*SEQUENCES).numpy()})
    with torch.no_grad():
        exact = Served(network)(batch(*SEQUENCES))
    for found, expected in zip(together, exact, strict=True):
        assert np.allclose(found, expected, atol=1e-5)
    for row, sequence in enumerate(SEQUENCES):
        alone = session.run(names, {"residues": batch(sequence).numpy()})
        assert all(np.allclose(one[0], all_[row], atol=1e-5) for one, all_ in zip(alone, together, strict=True))


@pytest.mark.slow
def test_in_int8_an_answer_is_nearly_the_same_and_its_own_in_any_batch(folder: Path, tmp_path: Path) -> None:
    fp32, int8, random = tmp_path / "fp32.onnx", tmp_path / "int8.onnx", np.random.default_rng(0)
    rows = ["".join(random.choice(list(RESIDUES), length)) for length in range(20, 60)]
    export_graph(
        Served(Network(opened(folder), ClassificationHead(16, 3, dropout=0.0), {})),
        {"residues": batch(*rows[:2])},
        ["logits", "probabilities", "embedding"],
        fp32,
    )
    quantize_graph(fp32, int8, ({"residues": batch(*rows[at : at + 8]).numpy()} for at in range(0, 32, 8)))
    exact, session = (ort.InferenceSession(graph) for graph in (fp32, int8))
    operators = [node.op_type for node in onnx.load(int8).graph.node]
    assert (
        operators.count("MatMulIntegerToFloat") == 2 * 6
    )  # of each layer: three projections, one back, two around GELU

    def embedded(session: ort.InferenceSession, *sequences: str) -> np.ndarray:
        return session.run(["embedding"], {"residues": batch(*sequences).numpy()})[0]

    expected, together = (embedded(each, *rows[32:]) for each in (exact, session))
    assert 0 < np.abs(together - expected).max() < 0.1 * np.abs(expected).max()
    alone = np.concatenate([embedded(session, row) for row in rows[32:]])
    assert np.allclose(alone, together, atol=1e-5)


def test_what_is_no_model_of_proteins_is_refused(tmp_path: Path) -> None:
    BertConfig().save_pretrained(tmp_path)
    for name, said in ((tmp_path, "is a bert, and proteins are read by an ESM"), (tmp_path / "x", "cannot be loaded")):
        config = load_config(["data=resistance", "model=esm2", f"model.name={name}"])
        with pytest.raises(UserError, match=said):
            backbone_shape(config.model, tmp_path)
