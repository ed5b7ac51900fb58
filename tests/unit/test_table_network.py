"""The network of tables: what it learns of columns, what it makes of a row, and the graph that does the same."""

import json
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnxruntime as ort
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from boatyard import tasks
from boatyard.config.errors import UserError
from boatyard.config.schema import Model
from boatyard.inputs.graphs import write_graph
from boatyard.inputs.table.backbone import (
    Backbone,
    CategoryEmbeddings,
    MembersLinear,
    NumberEmbeddings,
    backbone_shape,
    build_backbone,
)
from boatyard.inputs.table.columns import Column, Columns
from boatyard.inputs.table.numbers import Sample, learn_numbers
from boatyard.inputs.table.settings import Network as Shape
from boatyard.inputs.table.settings import TableModel
from boatyard.model import Network, Served

pytestmark = pytest.mark.unit

LEVELS = [3, 5]
TARGETS: dict[str, dict[str, Any]] = {
    "classification": {"labels": ["small", "large"]},
    "regression": {"mean": 12.0, "std": 0.4, "log": True},
}


class Settings:
    """As far as a backbone and a head read `model`."""

    dropout = 0.1
    network = Shape(members=3, width=16, embedding_width=4, bins=8)
    table = TableModel(network=network)


def houses(rows: int, seed: int = 0) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Categories, and numbers with gaps: areas, years, coordinates that differ in their sixth digit, and a constant."""
    random = np.random.default_rng(seed)
    numbers = np.stack(
        [
            random.lognormal(7, 0.5, rows),
            random.integers(1900, 2020, rows),
            -93.6 + 1e-4 * random.normal(size=rows),
            np.full(rows, 4.0),
        ],
        1,
    )
    numbers[random.random((rows, 4)) < [0.1, 0, 0, 0]] = np.nan
    return np.stack([random.integers(0, levels, rows) for levels in LEVELS], 1), numbers


def batch(rows: int, seed: int = 0) -> dict[str, Tensor]:
    categories, numbers = houses(rows, seed)
    return {"numbers": torch.tensor(numbers), "categories": torch.tensor(categories)}


def shape(**settings: Any) -> dict[str, Any]:
    return {
        **Settings.network.model_dump(exclude={"bins"}),
        "dropout": 0.1,
        "numbers": learn_numbers(houses(500)[1], 8),
        "levels": LEVELS,
        **settings,
    }


def new_backbone(**settings: Any) -> Backbone:
    torch.manual_seed(0)
    return Backbone(shape(**settings))


def new_network(task: str, **settings: Any) -> Network:
    backbone = new_backbone(**settings)
    training = tasks.training(task)
    head = training.build_head(backbone.width, training.head_shape(TARGETS[task], cast(Model, Settings())))
    network = Network(backbone, head, {})
    with torch.no_grad():  # as if it had been trained: nothing is 0 or 1, and no two members are alike
        for parameter in network.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape))
    return network.eval()


# ---- what is learnt of columns


def test_knots_lie_at_quantiles_with_normal_scores() -> None:
    numbers = np.random.default_rng(0).permutation(np.arange(1000.0))[:, None]
    learnt = learn_numbers(numbers, 4)
    assert learnt["knots"] == [[0, 249, 499, 749, 999]]
    assert learnt["scores"][0] == pytest.approx([-3.29, -0.6745, 0, 0.6745, 3.29], abs=5e-3)
    assert learnt["median"] == [499.5]
    assert json.loads(json.dumps(learnt)) == learnt


def test_few_values_have_a_knot_each_and_rows_that_are_alike_share_one() -> None:
    numbers = np.repeat([1.0, 2.0, 5.0], [40, 2, 900])[:, None]
    learnt = learn_numbers(numbers, 64)
    assert learnt["knots"][0] == [1, 5], "two rows of 942 are no quantile"
    assert learn_numbers(np.repeat([1.0, 2.0, 5.0], 30)[:, None], 64)["knots"][0] == [1, 2, 5]


def test_scores_of_neighbouring_knots_are_apart() -> None:
    learnt = learn_numbers(np.random.default_rng(0).normal(size=(5000, 1)), 1000)
    assert np.diff(learnt["scores"][0]).min() >= 0.02
    assert len(learnt["knots"][0]) > 150


@pytest.mark.parametrize(("gaps", "flagged"), [(0, False), (4, False), (5, True), (100, True)])
def test_a_gap_is_told_apart_where_enough_rows_have_one(gaps: int, flagged: bool) -> None:
    numbers = np.arange(100.0)[:, None]
    numbers[:gaps] = np.nan
    assert learn_numbers(numbers, 4)["flagged"] == [flagged]


def test_of_many_rows_that_pass_some_are_kept_each_as_likely_as_another() -> None:
    sample = Sample[int](most=1000)
    assert list(sample.passing(range(20_000))) == list(range(20_000))
    assert len(set(sample.rows)) == 1000
    assert np.histogram(sample.rows, 10, (0, 20_000))[0].min() > 65
    again, whole = Sample[int](most=1000), Sample[int]()
    assert list(again.passing(range(20_000))) == list(whole.passing(range(20_000)))
    assert again.rows == sample.rows
    assert whole.rows == list(range(20_000))


# ---- what becomes of numbers


def embeddings(numbers: NDArray[np.float64], bins: int = 8) -> NumberEmbeddings:
    torch.manual_seed(0)
    embedded = NumberEmbeddings(learn_numbers(numbers, bins), 3)
    nn.init.normal_(embedded.bends)
    return embedded


def test_a_number_s_embedding_is_linear_between_knots_and_stays_beyond_them() -> None:
    embedded = embeddings(np.repeat([0.0, 10.0, 30.0], 20)[:, None])
    at = [embedded(torch.tensor([[number]], dtype=torch.float64))[0] for number in (0, 5, 10, 30, -7, 1e300)]
    assert at[1].tolist() == pytest.approx(((at[0] + at[2]) / 2).tolist(), abs=1e-6)
    assert not torch.allclose((at[0] + at[3]) / 2, at[1])
    assert torch.equal(at[4], at[0])
    assert torch.equal(at[5], at[3])


def test_a_missing_number_counts_as_the_median_and_is_flagged_where_training_had_gaps() -> None:
    columns = np.stack([np.arange(101.0), np.arange(101.0) % 100], 1)
    columns[:7, 1] = np.nan
    embedded = embeddings(columns)
    assert embedded.widths == [3, 3, 1, 1, 1]
    median = [float(value) for value in np.nanmedian(columns, axis=0)]
    missing, present = (embedded(torch.tensor([row], dtype=torch.float64))[0] for row in ([np.nan] * 2, median))
    assert torch.equal(missing[:-1], present[:-1])
    assert (missing[-1], present[-1]) == (1, 0)


def test_a_column_without_a_number_or_with_one_alone_says_nothing() -> None:
    embedded = embeddings(np.array([[np.nan, 4.0, 1.0], [np.nan, 4.0, 2.0]]))
    rows = torch.tensor([[np.nan, np.nan, 1.0], [5.0, 1e308, 1.0], [-1e308, -1e308, 1.0]], dtype=torch.float64)
    assert embedded(rows).isfinite().all()
    assert torch.equal(embedded(rows)[0], embedded(rows)[1])
    assert torch.equal(embedded(rows)[0], embedded(rows)[2])


def test_numbers_that_differ_in_a_late_digit_stay_apart() -> None:
    seconds = 1_700_000_000.0 + np.arange(100)
    embedded = embeddings(seconds[:, None])
    one, other = embedded(torch.tensor(seconds[50:52, None]))
    assert not torch.allclose(one, other, atol=1e-3), "float32 has them both at 1700000000"


def test_beside_its_embedding_a_number_s_normal_score_is_handed_on() -> None:
    numbers = np.exp(np.random.default_rng(0).normal(size=(5000, 1)))
    embedded = embeddings(numbers, bins=48)
    assert embedded.widths == [3, 1]
    rows = np.quantile(numbers, [0.1, 0.5, 0.9])[:, None]
    assert embedded(torch.tensor(rows))[:, -1].tolist() == pytest.approx([-1.2816, 0, 1.2816], abs=0.03)


# ---- what becomes of categories


def test_a_code_that_no_training_row_had_adds_nothing() -> None:
    embedded = CategoryEmbeddings([3, 2], 4)
    assert embedded(torch.tensor([[0, 0]])).tolist() == [[0] * 8]
    one, other = embedded(torch.tensor([[2, 0], [0, 1]]))
    assert torch.equal(torch.cat([one[:4], other[4:]]), embedded(torch.tensor([[2, 1]]))[0])
    assert torch.equal(one[4:], torch.zeros(4))


# ---- the network


def test_members_share_weights_and_answer_differently() -> None:
    backbone = new_backbone()
    features = backbone(**batch(5))
    assert features.shape == (5, 3, 16)
    assert not torch.allclose(features[:, 0], features[:, 1])
    layer = cast(MembersLinear, backbone.layers[1])
    assert torch.allclose(layer(torch.ones(1, 3, 16))[0, 0], layer(torch.ones(1, 3, 16))[0, 1])


@pytest.mark.parametrize("lacking", ["numbers", "levels"])
def test_a_table_may_have_numbers_or_categories_alone(lacking: str) -> None:
    learnt, levels = learn_numbers(houses(9)[1], 8), LEVELS
    if lacking == "numbers":
        learnt = learn_numbers(np.zeros((9, 0)), 8)
    else:
        levels = []
    backbone = Backbone({**shape(), "numbers": learnt, "levels": levels})
    rows = batch(2)
    feeds = {"categories": rows["categories"][:, : len(levels)], "numbers": rows["numbers"][:, : len(learnt["knots"])]}
    assert backbone(**feeds).shape == (2, 3, 16)


def test_a_backbone_is_restored_from_its_shape_as_json_and_its_weights() -> None:
    backbone = new_backbone().eval()
    restored = build_backbone(json.loads(json.dumps(shape())), None).eval()
    assert not torch.equal(backbone(**batch(4)), restored(**batch(4)))
    restored.load_state_dict(backbone.state_dict())
    assert torch.equal(backbone(**batch(4)), restored(**batch(4)))


def test_a_shape_has_the_settings_and_what_was_learnt_of_the_columns(tmp_path: Path) -> None:
    columns = (Column("kind", "category", ("flat", "house")), Column("area", "number"), Column("sold", "date"))
    Columns(columns).write(tmp_path)
    learnt = learn_numbers(houses(50)[1], 8)
    (tmp_path / "numbers.json").write_text(json.dumps(learnt))
    assert backbone_shape(cast(Model, Settings()), tmp_path) == {**shape(), "numbers": learnt, "levels": [3]}


def test_there_are_no_weights_of_others_to_start_from() -> None:
    with pytest.raises(UserError, match=r"model\.name=tabpfn: .* leave it null"):
        build_backbone(shape(), "tabpfn")


@pytest.mark.parametrize("task", TARGETS)
@pytest.mark.parametrize("members", [1, 3])
def test_the_graph_answers_as_the_network_does_and_alone_as_in_a_batch(task: str, members: int, tmp_path: Path) -> None:
    network = new_network(task, members=members)
    outputs = [*tasks.serving(task).OUTPUTS, "embedding"]
    write_graph(Served(network), batch(2), outputs, tmp_path / "model.onnx")
    session = ort.InferenceSession(tmp_path / "model.onnx")
    assert {node.name: node.type for node in session.get_inputs()} == {
        "categories": "tensor(int64)",
        "numbers": "tensor(double)",
    }
    rows = {name: tensor.numpy() for name, tensor in batch(40, seed=1).items()}
    with torch.inference_mode():
        expected = Served(network)(**batch(40, seed=1))
    served = dict(zip(outputs, session.run(outputs, rows), strict=True))
    for name, ours in zip(outputs, expected, strict=True):
        assert served[name] == pytest.approx(ours.numpy(), rel=1e-5, abs=1e-5)
        alone = [session.run([name], {key: each[i : i + 1] for key, each in rows.items()})[0][0] for i in range(40)]
        # 1e-6 is one unit in the last place of a price's logarithm, around 12
        assert np.stack(alone) == pytest.approx(served[name], rel=3e-6, abs=1e-6)
