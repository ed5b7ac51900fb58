"""An edit of any code that a stage uses makes it run again: by its own fingerprint, and by DVC."""

import ast
from pathlib import Path
from typing import Any

import pytest
import yaml

from boatyard.storage import fingerprint as module
from boatyard.storage.fingerprint import Stage, code_of, fingerprint

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
PACKAGE = Path("src", "boatyard")
DVC: dict[str, Any] = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
STAGES: dict[str, tuple[Stage, ...]] = {
    "prepare": ("prepare", "encode"),
    "train": ("train",),
    "evaluate": ("evaluate",),
    "export": ("export",),
}
USED = [
    ("prepare", "data/validate.py"),
    ("prepare", "inputs/text/rows.py"),
    ("prepare", "inputs/sources.py"),
    ("prepare", "inputs/texts.py"),
    ("prepare", "tasks/classification/data_plots.py"),
    ("prepare", "tasks/classification/data_report.py"),
    ("prepare", "tasks/classification/targets.py"),
    ("encode", "inputs/text/tokenizer.py"),
    ("encode", "inputs/text/serving.py"),
    ("train", "inputs/text/backbone.py"),
    ("train", "inputs/text/pretrained.py"),
    ("train", "model.py"),
    ("train", "tasks/classification/head.py"),
    ("train", "train/trainer.py"),
    ("evaluate", "evaluate/baseline.py"),
    ("evaluate", "inputs/text/backbone.py"),
    ("evaluate", "inputs/text/features.py"),
    ("evaluate", "tasks/classification/baseline.py"),
    ("evaluate", "tasks/classification/metrics.py"),
    ("evaluate", "tasks/score.py"),
    ("export", "inputs/graphs.py"),
    ("export", "inputs/text/graph.py"),
    ("export", "inputs/text/language.py"),
    ("export", "tasks/classification/metrics.py"),
    ("export", "tasks/classification/parity.py"),
    ("export", "tasks/classification/serving.py"),
    ("export", "bundle/predict.py"),
    ("export", "bundle/manifest.py"),
]


def names(stage: Stage, task: str = "classification") -> set[str]:
    return {file.relative_to(ROOT / PACKAGE).as_posix() for file in code_of(stage, "text", task)}


def names_of_all(task: str = "classification") -> set[str]:
    return set[str]().union(*(names(stage, task) for stages in STAGES.values() for stage in stages))


@pytest.mark.parametrize(("stage", "file"), USED)
def test_what_a_stage_uses_is_its_code_however_it_is_imported(stage: Stage, file: str) -> None:
    assert file in names(stage)


def test_what_has_no_say_makes_no_stage_run_again() -> None:
    assert not {"inputs/text/features.py", "tasks/classification/baseline.py"} & names("train")
    assert "inputs/text/graph.py" not in names("train") | names("evaluate")
    assert "inputs/text/backbone.py" not in names("prepare") | names("encode")
    assert "tasks/classification/head.py" not in names("prepare") | names("encode")
    everything = names_of_all()
    assert not [name for name in everything if name.startswith(("config/", "storage/", "cloud/", "registry/"))]
    assert not [name for name in everything if name.startswith("frontend/") or name.endswith("/page.py")]
    assert "train/tracking.py" not in everything


@pytest.mark.parametrize(("task", "other"), [("classification", "regression"), ("regression", "classification")])
def test_another_task_makes_no_stage_run_again(task: str, other: str) -> None:
    assert f"tasks/{task}/head.py" in names_of_all(task)
    assert not [name for name in names_of_all(task) if name.startswith(f"tasks/{other}/")]


@pytest.mark.parametrize("stage", [stage for stages in STAGES.values() for stage in stages])
def test_an_edit_of_any_of_it_is_another_fingerprint(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    code = code_of(stage, "text", "classification")
    seen = {fingerprint({}, code=code)}
    for edited in code:
        monkeypatch.setattr(module, "file_digest", lambda file, edited=edited: "new" if file == edited else "old")
        seen.add(fingerprint({}, code=code))
    assert len(seen) == len(code) + 1


@pytest.mark.parametrize("stage", STAGES)
def test_dvc_runs_a_stage_again_for_just_the_code_that_its_fingerprint_counts(stage: str) -> None:
    counted = {(PACKAGE / name).as_posix() for own in STAGES[stage] for name in names(own)}
    declared = [dep for dep in DVC[stage]["deps"] if dep.startswith(f"{PACKAGE.as_posix()}/")]

    def holds(dep: str, file: str) -> bool:
        return file == dep or file.startswith(f"{dep}/")

    assert not {file for file in counted if not any(holds(dep, file) for dep in declared)}, f"add them to {stage}"
    assert not [dep for dep in declared if not any(holds(dep, file) for file in counted)], f"{stage} uses none of them"
    others = [*(ROOT / PACKAGE).glob("*/*/page.py"), *(ROOT / PACKAGE / "tasks" / "regression").glob("*.py")]
    foreign = [file.relative_to(ROOT).as_posix() for file in others]
    assert foreign
    assert not [file for file in foreign if any(holds(dep, file) for dep in declared)]


def test_no_code_is_imported_by_a_name_that_no_reader_sees() -> None:
    """Else `code_of` would miss it. Plug-ins are imported by `boatyard.config.plugins`, and `code_of` knows them."""
    for name in names_of_all() | names_of_all("regression"):
        tree = ast.parse((ROOT / PACKAGE / name).read_bytes())
        calls = (node.func for node in ast.walk(tree) if isinstance(node, ast.Call))
        assert not [call for call in calls if isinstance(call, ast.Name | ast.Attribute) and _called(call) in _IMPORTS]


@pytest.mark.parametrize("plugin", ["inputs.text", "tasks.classification", "tasks.regression"])
def test_what_a_plug_in_loads_late_is_the_code_of_a_stage(plugin: str) -> None:
    late = {f"{plugin.replace('.', '/')}/{part}.py" for _, part in module._members(f"{plugin}.training")}
    assert late
    assert late <= names_of_all("regression" if plugin == "tasks.regression" else "classification")


_IMPORTS = {"import_module", "__import__"}


def _called(function: ast.Name | ast.Attribute) -> str:
    return function.id if isinstance(function, ast.Name) else function.attr
