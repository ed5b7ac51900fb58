"""An edit of any code that a stage uses makes it run again: by its own fingerprint, and by DVC."""

import ast
from pathlib import Path
from typing import Any

import pytest
import yaml

from boatyard.storage import fingerprint as module
from boatyard.storage.fingerprint import Stage, code_of, fingerprint
from boatyard.tasks.layout import MODULES

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
    ("prepare", "inputs/texts.py"),
    ("prepare", "inputs/sources.py"),
    ("prepare", "tasks/classification/targets.py"),
    ("prepare", "tasks/classification/data_plots.py"),
    ("encode", "inputs/text/tokenizer.py"),
    ("encode", "inputs/text/serving.py"),
    ("train", "inputs/text/backbone.py"),
    ("train", "tasks/classification/head.py"),
    ("train", "inputs/text/pretrained.py"),
    ("train", "model.py"),
    ("train", "train/trainer.py"),
    ("evaluate", "inputs/text/features.py"),
    ("evaluate", "tasks/classification/baseline.py"),
    ("evaluate", "inputs/text/backbone.py"),
    ("evaluate", "tasks/classification/metrics.py"),
    ("export", "inputs/text/graph.py"),
    ("export", "inputs/text/language.py"),
    ("export", "tasks/classification/parity.py"),
    ("export", "bundle/predict.py"),
    ("export", "bundle/manifest.py"),
]


def names(stage: Stage) -> set[str]:
    return {file.relative_to(ROOT / PACKAGE).as_posix() for file in code_of(stage, "text", "classification")}


@pytest.mark.parametrize(("stage", "file"), USED)
def test_what_a_stage_uses_is_its_code_however_it_is_imported(stage: Stage, file: str) -> None:
    assert file in names(stage)


def test_what_has_no_say_makes_no_stage_run_again() -> None:
    assert "inputs/text/features.py" not in names("train")
    assert "inputs/text/graph.py" not in names("train") | names("evaluate")
    assert "inputs/text/backbone.py" not in names("prepare") | names("encode")
    assert "tasks/classification/head.py" not in names("prepare") | names("encode")
    everything = set[str]().union(*(names(stage) for stages in STAGES.values() for stage in stages))
    assert not [name for name in everything if name.startswith(("config/", "storage/", "cloud/", "registry/"))]
    assert "train/tracking.py" not in everything
    assert not [name for name in everything if name.endswith("page.py") or name.startswith("tasks/regression/")]


def test_another_task_has_code_of_its_own() -> None:
    files = {file.relative_to(ROOT / PACKAGE).as_posix() for file in code_of("evaluate", "text", "regression")}
    assert {"tasks/regression/metrics.py", "tasks/regression/baseline.py", "inputs/text/features.py"} <= files
    assert not [file for file in files if file.startswith("tasks/classification/")]


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


def test_only_plugins_are_imported_by_a_name_that_no_reader_sees() -> None:
    """Else `code_of` would miss them, too."""
    importing = set()
    for name in set[str]().union(*(names(stage) for stages in STAGES.values() for stage in stages)):
        tree = ast.parse((ROOT / PACKAGE / name).read_bytes())
        calls = (node.func for node in ast.walk(tree) if isinstance(node, ast.Call))
        if any(isinstance(call, ast.Name) and call.id in {"import_module", "__import__"} for call in calls):
            importing.add(name)
    assert importing == set()  # boatyard.config.plugins does it


def test_what_a_plugin_loads_late_is_the_code_of_a_stage() -> None:
    late = {f"tasks/classification/{name}.py" for name in MODULES.values()}
    late |= {f"inputs/text/{name}.py" for name in ("rows", "encoder", "pretrained", "backbone", "graph", "features")}
    assert late <= set[str]().union(*(names(stage) for stages in STAGES.values() for stage in stages))
