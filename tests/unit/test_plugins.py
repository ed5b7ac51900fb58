"""Every input and every task owes the same, and one that somebody adds is found by its folder."""

import inspect
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from toyshop import lines_of_code, toys_in_this_process

from boatyard import inputs, tasks
from boatyard.bundle.manifest import open_bundle, seal
from boatyard.bundle.predict import Predictor, open_predictor
from boatyard.config.errors import UserError
from boatyard.frontend.protocol import InputPage, TaskPage
from boatyard.inputs import arrays, training_protocol
from boatyard.inputs import protocol as input_protocol
from boatyard.inputs.protocol import InvalidInput
from boatyard.tasks import protocol as task_protocol

pytestmark = pytest.mark.unit

PARTS: dict[tuple[str, str], type] = {
    ("inputs", "serving"): input_protocol.ServingInput,
    ("inputs", "training"): training_protocol.TrainingInput,
    ("inputs", "page"): InputPage,
    ("tasks", "serving"): task_protocol.ServingTask,
    ("tasks", "training"): task_protocol.TrainingTask,
    ("tasks", "page"): TaskPage,
}
"""By package and function, what the module is."""


@pytest.fixture(autouse=True)
def toys() -> Iterator[None]:
    with toys_in_this_process():
        yield


def named() -> list[tuple[str, str]]:
    with toys_in_this_process():
        return [("inputs", name) for name in inputs.names()] + [("tasks", name) for name in tasks.names()]


def missing(has: object, protocol: type) -> list[str]:
    """What `has` lacks of the protocol: values, unless it is a class, whose objects have them; and functions."""
    values = [] if inspect.isclass(has) else list(inspect.get_annotations(protocol))
    lacks = [name for name in values if not hasattr(has, name)]
    for name, owed in vars(protocol).items():
        if inspect.isfunction(owed) and not name.startswith("_") and not takes(getattr(has, name, None), owed):
            lacks.append(f"{name}{inspect.signature(owed)}")
    return lacks


def takes(function: object, owed: Callable[..., object]) -> bool:
    """Whether it can be called as `owed` can: with these arguments, and no others that are required."""
    if not callable(function):
        return False
    wanted, taken = arguments(owed), arguments(function)
    names = [each.name for each in wanted if each.kind is not each.POSITIONAL_ONLY]
    required = [each for each in taken if each.default is each.empty]
    return len(required) == len(wanted) and {each.name for each in taken}.issuperset(names)


def arguments(function: Callable[..., object]) -> list[inspect.Parameter]:
    return [each for name, each in inspect.signature(function).parameters.items() if name != "self"]


@pytest.mark.parametrize(("package", "part"), PARTS)
def test_each_input_and_each_task_has_all_that_its_contract_names(package: str, part: str) -> None:
    plugins = {"inputs": inputs, "tasks": tasks}[package]
    lacking = {name: missing(getattr(plugins, part)(name), PARTS[package, part]) for name in plugins.names()}
    assert not any(lacking.values()), lacking


@pytest.mark.parametrize(("package", "name"), named())
def test_settings_are_named_by_section(package: str, name: str) -> None:
    sections = getattr({"inputs": inputs, "tasks": tasks}[package].settings(name), "SECTIONS", {})
    assert all(isinstance(section, str) for section in sections)


def classes(package: str, name: str) -> list[type]:
    """Those that a plug-in's modules define or take from elsewhere."""
    folder = import_module(f"boatyard.{package}.{name}")
    modules = [import_module(f"{folder.__name__}.{module.name}") for module in iter_modules(folder.__path__)]
    made = [each for module in modules for each in vars(module).values() if inspect.isclass(each)]
    return [*made, arrays.ArrayEncoder, arrays.ArrayFeatures] if arrays.ArrayTraining in made else made


@pytest.mark.parametrize(("package", "name"), named())
def test_what_they_make_has_all_that_its_contract_names(package: str, name: str) -> None:
    made = {
        "inputs": [input_protocol.OpenInput, training_protocol.Encoder, training_protocol.SimpleFeatures],
        "tasks": [task_protocol.OpenTask, task_protocol.Targets, task_protocol.Head],
    }
    for protocol in made[package]:
        lacking = {each.__name__: missing(each, protocol) for each in classes(package, name)}
        nearest = min(lacking, key=lambda each: len(lacking[each]))
        assert lacking[nearest] == [], f"{nearest} as {protocol.__name__}"


def test_an_input_or_a_task_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(UserError, match=r"unknown input 'sounds': there are .*clicks.*"):
        inputs.serving("sounds")
    with pytest.raises(UserError, match=r"unknown task 'ranking': there are .*count.*"):
        tasks.serving("ranking")


def test_a_plugin_without_a_page_is_shown_by_its_schema() -> None:
    assert inputs.page("clicks").__name__ == "boatyard.frontend.input_page"
    assert tasks.page("count").headline({"id": "1", "expected": 2.25}) == "2.2 expected"


def test_the_toys_are_small() -> None:
    assert lines_of_code() < 150


# ---- what a server does with them


def write_bundle(folder: Path) -> Predictor:
    """A graph that expects as many as there are clicks."""
    folder.mkdir()
    nodes = [
        helper.make_node("ReduceSum", ["pages", "axis"], ["rate"], keepdims=0),
        helper.make_node("Identity", ["pages"], ["embedding"]),
    ]
    model = helper.make_model(
        helper.make_graph(
            nodes,
            "sum",
            [helper.make_tensor_value_info("pages", TensorProto.FLOAT, ["rows", 64])],
            [
                helper.make_tensor_value_info("rate", TensorProto.FLOAT, ["rows"]),
                helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["rows", 64]),
            ],
            [numpy_helper.from_array(np.array([1]), "axis")],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=10,
    )
    onnx.save(model, folder / "model.onnx")
    seal(
        folder,
        name="shop",
        input="clicks",
        task="count",
        target={},
        request_schema={"type": "object", "properties": {"clicks": {"type": "array"}}, "required": ["clicks"]},
        answer_schema=tasks.serving("count").answer_schema({}),
        truth_schema=tasks.serving("count").truth_schema({}),
        limits={},
        git_commit=None,
        data_fingerprint="0" * 16,
        packages={},
        config={},
        examples=[{"clicks": ["home"]}],
        metrics={},
    )
    return open_predictor(open_bundle(folder))


def test_a_bundle_of_the_toys_answers(tmp_path: Path) -> None:
    predictor = write_bundle(tmp_path / "bundle")
    rows = [predictor.input.parse({"clicks": ["home"] * clicks}) for clicks in (3, 1, 25)]
    predictions = predictor.answer(rows)
    assert [prediction.answer for prediction in predictions] == [{"expected": rate} for rate in (3, 1, 20)]
    assert [prediction.truncated for prediction in predictions] == [False, False, True]
    assert [prediction.measured for prediction in predictions] == [{"clicks_read": read} for read in (3, 1, 20)]
    assert [column.name for column in predictor.columns] == ["expected", "clicks_read"]


@pytest.mark.parametrize("clicks", [None, "", [], ["home", 1], ["\ud800"], {"home": 1}])
def test_a_visit_that_is_none_is_refused(tmp_path: Path, clicks: object) -> None:
    predictor = write_bundle(tmp_path / "bundle")
    with pytest.raises(InvalidInput, match="one page or more") as refused:
        predictor.input.parse({"clicks": clicks})
    assert refused.value.pointer == "/clicks"


def test_a_count_is_judged_by_its_deviance(tmp_path: Path) -> None:
    task = write_bundle(tmp_path / "bundle").task
    assert task.loss({"expected": 3.0}, task.parse_truth({"count": 3})) == pytest.approx(0)
    assert task.loss({"expected": 3.0}, {"count": 0}) == pytest.approx(6)
    assert task.score(np.array([1.0, 3.0])).value == 2
    for wrong in ({}, {"count": -1}, {"count": 1.5}, {"count": True}, {"count": 1, "label": "x"}):
        with pytest.raises(InvalidInput):
            task.parse_truth(wrong)
