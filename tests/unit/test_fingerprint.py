"""An edit of any code that a stage uses makes it run again: by its own fingerprint, and by DVC."""

import ast
from pathlib import Path
from typing import Any

import pytest
import yaml

from boatyard.config.compose import write_params
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
    ("prepare", "data/ledger.py"),
    ("prepare", "inputs/sources.py"),
    ("prepare", "inputs/text/rows.py"),
    ("prepare", "inputs/texts.py"),
    ("prepare", "tasks/{task}/targets.py"),
    ("prepare", "tasks/{task}/data_plots.py"),
    ("encode", "inputs/text/encoder.py"),
    ("encode", "inputs/text/tokenizer.py"),
    ("encode", "inputs/text/serving.py"),
    ("train", "inputs/text/backbone.py"),
    ("train", "inputs/pretrained.py"),
    ("train", "model.py"),
    ("train", "tasks/{task}/head.py"),
    ("train", "train/trainer.py"),
    ("evaluate", "evaluate/baseline.py"),
    ("evaluate", "inputs/text/backbone.py"),
    ("evaluate", "inputs/text/features.py"),
    ("evaluate", "tasks/{task}/baseline.py"),
    ("evaluate", "tasks/{task}/metrics.py"),
    ("evaluate", "tasks/{task}/report.py"),
    ("evaluate", "tasks/score.py"),
    ("export", "inputs/text/graph.py"),
    ("export", "inputs/text/language.py"),
    ("export", "tasks/{task}/metrics.py"),
    ("export", "tasks/{task}/parity.py"),
    ("export", "tasks/{task}/serving.py"),
    ("export", "bundle/predict.py"),
    ("export", "bundle/manifest.py"),
]
TASKS = ("classification", "regression")


def names(stage: Stage, task: str = "classification") -> set[str]:
    return {file.relative_to(ROOT / PACKAGE).as_posix() for file in code_of(stage, "text", task)}


def all_names(task: str = "classification") -> set[str]:
    return set[str]().union(*(names(stage, task) for stages in STAGES.values() for stage in stages))


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize(("stage", "file"), USED)
def test_what_a_stage_uses_is_its_code_however_it_is_imported(stage: Stage, file: str, task: str) -> None:
    assert file.format(task=task) in names(stage, task)


@pytest.mark.parametrize("task", TASKS)
def test_the_code_of_another_task_is_no_stages(task: str) -> None:
    others = tuple(f"tasks/{other}/" for other in TASKS if other != task)
    assert not [name for name in all_names(task) if name.startswith(others)]


@pytest.mark.parametrize("task", TASKS)
def test_what_has_no_say_makes_no_stage_run_again(task: str) -> None:
    assert not {"inputs/text/features.py", f"tasks/{task}/baseline.py", f"tasks/{task}/report.py"} & names(
        "train", task
    )
    assert "inputs/text/graph.py" not in names("train", task) | names("evaluate", task)
    assert not {"inputs/text/backbone.py", f"tasks/{task}/head.py"} & (names("prepare", task) | names("encode", task))
    assert f"tasks/{task}/targets.py" not in names("encode", task) | names("train", task)
    everything = all_names(task)
    assert not [name for name in everything if name.startswith(("config/", "storage/", "cloud/", "registry/"))]
    assert not [name for name in everything if name.endswith("/page.py")]
    assert "train/tracking.py" not in everything


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
    used = set[str]()
    for task in TASKS:
        counted = {(PACKAGE / name).as_posix() for own in STAGES[stage] for name in names(own, task)}
        declared = dependencies(stage, task)
        holding = {file: [dep for dep in declared if file == dep or file.startswith(f"{dep}/")] for file in counted}
        assert not [file for file, deps in holding.items() if not deps], f"add them to {stage}"
        used |= {dep for deps in holding.values() for dep in deps}
    assert {dep for task in TASKS for dep in dependencies(stage, task)} == used, f"{stage} uses none of the others"


def dependencies(stage: str, task: str) -> list[str]:
    """What `dvc.yaml` declares of the package's code."""
    chosen = [dep.replace("${data.input}", "text").replace("${data.task}", task) for dep in DVC[stage]["deps"]]
    return [dep for dep in chosen if dep.startswith(f"{PACKAGE.as_posix()}/")]


def test_all_that_dvc_watches_is_there() -> None:
    made = {path for stage in DVC.values() for path in stage["outs"]}
    watched = {path for stage in DVC.values() for path in stage["deps"] if "${" not in path} - made
    assert [path for path in sorted(watched) if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("stage", STAGES)
def test_dvc_finds_each_parameter_that_a_stage_depends_on(stage: str, tmp_path: Path) -> None:
    write_params([], tmp_path / "params.yaml")
    params = yaml.safe_load((tmp_path / "params.yaml").read_text())
    for key in DVC[stage]["params"]:
        section = params
        for part in key.replace("${data.input}", params["data"]["input"]).split("."):
            section = section[part]


def test_only_plug_ins_are_imported_by_a_name_that_no_reader_sees() -> None:
    """Else `code_of` would miss them, too."""
    importing = set()
    for name in {"config/plugins.py"}.union(*map(all_names, TASKS)):
        tree = ast.parse((ROOT / PACKAGE / name).read_bytes())
        calls = (node.func for node in ast.walk(tree) if isinstance(node, ast.Call))
        if any(isinstance(call, ast.Name) and call.id in {"import_module", "__import__"} for call in calls):
            importing.add(name)
    assert importing == {"config/plugins.py"}


@pytest.mark.parametrize("task", TASKS)
def test_what_a_plugin_loads_late_is_the_code_of_a_stage(task: str) -> None:
    late = {f"tasks/{task}/{name}.py" for name in MODULES.values()}
    late |= {f"inputs/text/{name}.py" for name in ("rows", "encoder", "tokenizer", "backbone", "graph", "features")}
    assert late <= all_names(task)
