"""The wide branch of text networks: what a linear model counts is what the served graph adds up."""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import onnxruntime as ort
import pytest
import torch
from bundles import SPECIALS, VOCABULARY, tokenizer
from datasets import Dataset
from numpy.typing import NDArray

from boatyard import tasks
from boatyard.config.schema import Model
from boatyard.inputs.text.backbone import TextBackbone, build_backbone
from boatyard.inputs.text.counted import CountedWords, open_counted
from boatyard.inputs.text.graph import export_graph, quantize_graph
from boatyard.inputs.text.serving import FEWEST_WORDS, NO_WORD, TextInput
from boatyard.inputs.text.settings import TextModel
from boatyard.model import Network, Served

pytestmark = pytest.mark.unit

MAX_TOKENS, LABELS = 8, ["card_lost", "transfer", "fees"]
TEXTS = ["card lost", "card card card lost", "fee", "send iban send iban cost", "x", "stolen card " * 30, "cost fee x"]
SHAPE: dict[str, Any] = {
    "encoder": {
        "model_type": "bert",
        "vocab_size": len(VOCABULARY),
        "hidden_size": 8,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 16,
        "max_position_embeddings": MAX_TOKENS,
    },
    "word_dropout": 0.0,
    "hidden_id": None,
}


def text_input(max_words: int = 64) -> TextInput:
    return TextInput(tokenizer(), ["text"], MAX_TOKENS, max_words=max_words)


def rows(texts: Sequence[str] = TEXTS) -> Dataset:
    return Dataset.from_dict({"words": [each.words for each in text_input().encode([(text,) for text in texts])]})


def settings(wide: bool = True) -> Model:
    return cast(Model, SimpleNamespace(text=TextModel(wide=wide), dropout=0.0))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("inputs")
    tokenizer().save(str(made / "tokenizer.json"))
    return made


@pytest.fixture(scope="module")
def counted(folder: Path) -> CountedWords:
    opened = open_counted(settings(), folder, rows())
    assert opened is not None
    return opened


@pytest.fixture(scope="module")
def network(counted: CountedWords) -> Network:
    """An encoder of random weights beside a wide branch of random ones."""
    torch.manual_seed(0)
    backbone = build_backbone(SHAPE, None)
    task = tasks.training("classification")
    head = task.build_head(backbone.width, task.head_shape({"labels": LABELS}, settings()))
    added, mixing = counted.join(backbone, weights(counted))
    batch = {name: torch.from_numpy(array) for name, array in feeds(TEXTS).items()}
    head.widen(mixing, np.zeros(len(LABELS)), backbone(**batch).detach(), torch.arange(len(TEXTS)) % len(LABELS))
    return Network(backbone, head, {"backbone": {**SHAPE, **added}}).eval()


def weights(counted: CountedWords) -> NDArray[np.float64]:
    return np.random.default_rng(0).normal(size=(counted.features(rows()).shape[1], len(LABELS)))


def feeds(texts: Sequence[str]) -> dict[str, NDArray[Any]]:
    asked = text_input()
    return dict(asked.collate(asked.encode([(text,) for text in texts])))


@pytest.fixture(scope="module")
def graphs(network: Network, tmp_path_factory: pytest.TempPathFactory) -> dict[str, ort.InferenceSession]:
    folder = tmp_path_factory.mktemp("graphs")
    fp32, int8 = folder / "fp32.onnx", folder / "int8.onnx"
    served = Served(network)
    served.embedded = None  # so that the sums can be seen
    export_graph(served, {}, ["logits", "probabilities", "embedding"], fp32)
    quantize_graph(fp32, int8, [feeds(TEXTS)])
    return {"fp32": ort.InferenceSession(fp32), "int8": ort.InferenceSession(int8)}


def ran(graph: ort.InferenceSession, texts: Sequence[str], output: str = "logits") -> NDArray[np.float32]:
    wanted = {node.name for node in graph.get_inputs()}
    (array,) = graph.run([output], {name: array for name, array in feeds(texts).items() if name in wanted})
    return cast("NDArray[np.float32]", array)


def test_the_branch_adds_up_what_the_linear_model_reads(counted: CountedWords, network: Network) -> None:
    texts = [*TEXTS, "lost", "iban x iban fee card"]
    backbone, of = cast(TextBackbone, network.backbone), weights(counted)
    assert backbone.wide is not None
    _, mixing = counted.join(build_backbone(SHAPE, None), of)
    sums = backbone.wide(torch.from_numpy(feeds(texts)["words"])).numpy()
    expected = counted.features(rows(texts)) @ of
    np.testing.assert_allclose(sums @ mixing, expected, rtol=1e-5, atol=1e-5)


def test_a_branch_that_says_nothing_is_one_all_the_same(counted: CountedWords) -> None:
    added, mixing = counted.join(build_backbone(SHAPE, None), np.zeros_like(weights(counted)))
    assert added["wide"]["width"] == len(mixing) == len(LABELS)


def test_the_graph_answers_as_the_network_does(network: Network, graphs: dict[str, ort.InferenceSession]) -> None:
    with torch.no_grad():
        expected = network(**{name: torch.from_numpy(array) for name, array in feeds(TEXTS).items()})["logits"]
    np.testing.assert_allclose(ran(graphs["fp32"], TEXTS), expected, atol=1e-5)


def test_int8_moves_the_sums_by_no_more_than_the_tables_round(graphs: dict[str, ort.InferenceSession]) -> None:
    exact, served = (ran(graphs[name], TEXTS, "embedding")[:, SHAPE["encoder"]["hidden_size"] :] for name in graphs)
    assert np.abs(exact - served).max() < np.abs(exact).max() / 100


def test_the_layer_that_reads_the_sums_stays_exact(network: Network, graphs: dict[str, ort.InferenceSession]) -> None:
    embedding = torch.from_numpy(ran(graphs["int8"], TEXTS, "embedding"))
    with torch.no_grad():
        expected = network.head.sums(embedding[:, SHAPE["encoder"]["hidden_size"] :])
        rest = torch.from_numpy(ran(graphs["int8"], TEXTS)) - expected
        exact = network.head.linear(embedding[:, : SHAPE["encoder"]["hidden_size"]])
    assert (rest - exact).abs().max() < 0.02 * exact.abs().max()


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_a_rows_sums_do_not_depend_on_its_batch(precision: str, graphs: dict[str, ort.InferenceSession]) -> None:
    texts = [*TEXTS, "card fee iban " * 21]
    width = SHAPE["encoder"]["hidden_size"]
    together = ran(graphs[precision], texts, "embedding")[:, width:]
    alone = np.concatenate([ran(graphs[precision], [text], "embedding")[:, width:] for text in texts])
    assert (together == alone).all()


def test_in_int8_nothing_depends_on_the_batch(graphs: dict[str, ort.InferenceSession]) -> None:
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice([*VOCABULARY], 1 + number % 40)) for number in range(200)]
    for output in ("logits", "embedding"):
        together = ran(graphs["int8"], texts, output)
        alone = np.concatenate([ran(graphs["int8"], [text], output) for text in texts])
        assert (together == alone).all(), output


def test_only_the_words_are_counted_and_all_of_them() -> None:
    (encoded,) = text_input().encode([("card lost " * 20,)])
    assert (len(encoded.ids), len(encoded.words)) == (MAX_TOKENS, 40)
    assert not {VOCABULARY[name] for name in SPECIALS if name != "[UNK]"} & {*encoded.words}
    assert not encoded.truncated


def test_a_text_is_truncated_where_there_is_more_than_anything_reads() -> None:
    fits, too_long = text_input(max_words=10).encode([("card " * 10,), ("card " * 11,)])
    assert (len(fits.words), fits.truncated) == (10, False)
    assert (len(too_long.words), too_long.truncated) == (10, True)


def test_a_pair_shares_the_words_that_may_be_counted() -> None:
    pair = TextInput(tokenizer(), ["title", "text"], MAX_TOKENS, max_words=10)
    (encoded,) = pair.encode([("card card", "fee " * 20)])
    assert encoded.words == [VOCABULARY["card"]] * 2 + [VOCABULARY["fee"]] * 8


def test_a_batch_has_room_for_a_pair_and_is_filled_up() -> None:
    words = feeds(["card"])["words"]
    assert words.tolist() == [[VOCABULARY["card"], NO_WORD]]
    assert words.shape[1] == FEWEST_WORDS
    empty = text_input()
    assert empty.collate(empty.encode([("",)]))["words"].tolist() == [[NO_WORD, NO_WORD]]


def test_nothing_is_counted_unless_the_model_is_wide(folder: Path) -> None:
    assert open_counted(settings(wide=False), folder, rows()) is None
    narrow = TextInput(tokenizer(), ["text"], MAX_TOKENS)
    assert "words" not in narrow.collate(narrow.encode([("card",)]))
    assert build_backbone(SHAPE, None).wide is None
