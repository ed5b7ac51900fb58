"""Texts read in windows: every token once, and each text by itself however many others are in its batch."""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import onnxruntime as ort
import pyarrow as pa
import pytest
import torch
from bundles import MAX_TOKENS, VOCABULARY, tokenizer
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from boatyard import tasks
from boatyard.config.errors import UserError
from boatyard.config.schema import Model
from boatyard.inputs.text.backbone import build_backbone
from boatyard.inputs.text.encoder import TextEncoder
from boatyard.inputs.text.framing import windows
from boatyard.inputs.text.graph import export_graph, quantize_graph
from boatyard.inputs.text.serving import MOST_WORDS, EncodedText, TextInput, limits
from boatyard.inputs.text.settings import TextModel
from boatyard.model import Network, Served

pytestmark = pytest.mark.unit

ROOM = MAX_TOKENS - 2
LABELS = ["card_lost", "fees"]
TEXTS = ["card", "card lost fee iban send cost x", "fee " * 6, "iban " * 40, "stolen card fee " * 9, "lost x"]
SHAPE = {
    "encoder": {
        "model_type": "distilbert",  # which takes no types of tokens: what comes after these keeps its place
        "vocab_size": len(VOCABULARY),
        "dim": 8,
        "n_layers": 1,
        "n_heads": 2,
        "hidden_dim": 16,
        "max_position_embeddings": MAX_TOKENS,
    },
    "word_dropout": 0.0,
    "hidden_id": None,
    "in_windows": True,
}


def text_input(fields: Sequence[str] = ("text",), most: int = MOST_WORDS) -> TextInput:
    return TextInput(tokenizer(), list(fields), most, window_tokens=MAX_TOKENS)


def encoded(texts: Sequence[str]) -> list[EncodedText]:
    return text_input().encode([(text,) for text in texts])


tokens = st.integers(0, 40).map(lambda length: list(range(length)))


@given(st.lists(tokens, min_size=1, max_size=2), st.integers(2, 12))
def test_every_token_is_in_a_window_and_windows_are_few_and_even(texts: list[list[int]], room: int) -> None:
    made = windows(texts, room)
    for field, text in enumerate(texts):
        read = [id_ for window in made for id_ in window[field]]
        assert read[: len(text)] == text
    sizes = [sum(map(len, window)) for window in made]
    assert max(sizes) <= room
    assert max(sizes) - min(sizes) <= len(texts)
    if len(texts) == 1:
        assert len(made) == max(1, -(-len(texts[0]) // room))


def test_an_article_is_read_below_its_title_in_every_window() -> None:
    (pair,) = text_input(["title", "text"]).encode([("card", "fee cost iban send lost x")])
    title, ends = [VOCABULARY["[CLS]"], VOCABULARY["card"], VOCABULARY["[SEP]"]], np.cumsum(pair.windows)
    starts = [0, *ends[:-1]]
    assert pair.windows == [7, 7]
    assert [pair.ids[start : start + 3] for start in starts] == [title] * 2
    assert [id_ for start, end in zip(starts, ends, strict=True) for id_ in pair.ids[start + 3 : end - 1]] == [
        VOCABULARY.get(word, VOCABULARY["[UNK]"]) for word in ["fee", "cost", "iban", "send", "lost", "x"]
    ]


def test_a_text_is_truncated_only_past_the_most_that_windows_have() -> None:
    fits, too_long = text_input(most=20).encode([("card " * 20,), ("card " * 21,)])
    assert (fits.truncated, too_long.truncated) == (False, True)
    assert fits.ids == too_long.ids
    model = cast(Model, SimpleNamespace(text=TextModel(max_tokens=64, long="windows", wide=False)))  # type: ignore[arg-type]
    chosen = limits(model)
    assert (chosen["max_tokens"], chosen["window_tokens"]) == (MOST_WORDS, 64)


def test_training_collates_as_serving_does() -> None:
    rows = [(text,) for text in TEXTS]
    served = text_input().collate(text_input().encode(rows))
    encoder = TextEncoder(tokenizer(), text_input())
    trained = encoder.collate(pa.table(encoder.encode(rows)).to_pylist())
    assert trained.keys() == served.keys() - {"token_type_ids"}
    for name, tensor in trained.items():
        assert tensor.numpy().tolist() == served[name].tolist()


@pytest.fixture(scope="module")
def network() -> Network:
    torch.manual_seed(0)
    backbone = build_backbone(SHAPE, None)
    head = tasks.training("classification").build_head(backbone.width, {"classes": len(LABELS), "dropout": 0.0})
    return Network(backbone, head, SHAPE).eval()


@pytest.fixture(scope="module")
def graphs(network: Network, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("graphs")
    made = {name: folder / f"{name}.onnx" for name in ("fp32", "int8")}
    export_graph(Served(network), {}, ["logits", "probabilities", "embedding"], made["fp32"])
    quantize_graph(made["fp32"], made["int8"], [text_input().collate(encoded(TEXTS))])
    return made


def ran(graph: Path, texts: Sequence[str]) -> dict[str, NDArray[Any]]:
    session = ort.InferenceSession(graph)
    feeds, outputs = text_input().collate(encoded(texts)), [node.name for node in session.get_outputs()]
    wanted = {node.name for node in session.get_inputs()}
    return dict(zip(outputs, session.run(outputs, {n: a for n, a in feeds.items() if n in wanted}), strict=True))


def test_the_graph_answers_as_the_network_does(network: Network, graphs: dict[str, Path]) -> None:
    feeds = text_input().collate(encoded(TEXTS))
    with torch.no_grad():
        expected = network(**{name: torch.from_numpy(array) for name, array in feeds.items()})["logits"]
    np.testing.assert_allclose(ran(graphs["fp32"], TEXTS)["logits"], expected, atol=1e-5)


def test_a_texts_vector_is_the_mean_over_the_tokens_of_all_its_windows(network: Network) -> None:
    (text,) = encoded(["card lost fee iban send cost " * 2])
    backbone = cast(Any, network.backbone)
    with torch.no_grad():
        ids = torch.tensor(text.ids).reshape(len(text.windows), -1)
        vectors = backbone.encoder(input_ids=ids).last_hidden_state.flatten(0, 1)
        whole = backbone(ids, torch.ones_like(ids), windows=torch.tensor([len(text.windows)]))
    torch.testing.assert_close(whole[0], vectors.mean(0))


def test_an_answer_does_not_depend_on_the_other_texts_of_its_batch(graphs: dict[str, Path]) -> None:
    together, alone = ran(graphs["int8"], TEXTS), [ran(graphs["int8"], [text]) for text in TEXTS]
    for name, array in together.items():
        assert (array == np.concatenate([each[name] for each in alone])).all(), name


def test_a_batch_that_was_cut_in_pieces_is_refused(network: Network) -> None:
    ids = torch.ones(3, 4, dtype=torch.int64)
    with pytest.raises(UserError, match="torchrun"):
        network.backbone(ids, torch.ones_like(ids), windows=torch.tensor([2, 2]))
