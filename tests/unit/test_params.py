"""params.yaml: what DVC composes is what the stages read."""

from pathlib import Path

import pytest

from boatyard.config.cli import run
from boatyard.config.compose import CONFIGS, load_config, read_config, write_params
from boatyard.config.errors import UserError
from boatyard.config.schema import Config

pytestmark = pytest.mark.unit

COMMITTED = Path(__file__).parents[2] / "params.yaml"


def test_the_committed_file_is_what_configs_compose(tmp_path: Path) -> None:
    write_params([], tmp_path / "params.yaml")
    assert COMMITTED.read_text() == (tmp_path / "params.yaml").read_text(), (
        "python -m boatyard.config.params writes it anew"
    )


@pytest.mark.parametrize(
    "overrides", [[], ["data.task=regression", "model=scratch", "train.max_steps=12", "model.text.scratch.layers=1"]]
)
def test_it_is_what_an_experiment_of_dvc_composes_else_stages_would_run_again(
    tmp_path: Path, overrides: list[str]
) -> None:
    from dvc.utils.hydra import compose_and_dump

    write_params(overrides, tmp_path / "params.yaml")
    compose_and_dump(tmp_path / "dvc.yaml", str(CONFIGS), None, "params", None, overrides)
    assert (tmp_path / "params.yaml").read_text() == (tmp_path / "dvc.yaml").read_text()


def test_a_former_key_is_written_by_its_name_of_now(tmp_path: Path) -> None:
    write_params(["data.label_column=topic"], tmp_path / "params.yaml")
    assert "label_column" not in (tmp_path / "params.yaml").read_text()
    assert read_config(tmp_path / "params.yaml").data.target == "topic"


def test_it_configures_as_the_overrides_do_that_it_was_composed_of(tmp_path: Path) -> None:
    overrides = ["model=minilm", "train.learning_rate=1e-5", "train.adam_beta2=0.98"]
    write_params(overrides, tmp_path / "params.yaml")
    composed = read_config(tmp_path / "params.yaml").model_dump(exclude={"paths"})
    assert composed == load_config(overrides).model_dump(exclude={"paths"})


def test_a_machine_leaves_nothing_of_its_own_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOATYARD_STORAGE", "gs://somebody")
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "somebodys-own")
    write_params([], tmp_path / "params.yaml")
    assert "somebody" not in (tmp_path / "params.yaml").read_text()


def test_rows_that_are_no_file_are_refused_because_dvc_could_not_follow_them(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"data\.path must be given"):
        write_params(["data=banking77"], tmp_path / "params.yaml")


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        ("seed: 42", "sed: 42", "train.seed must be given"),
        ("seed: 42", "seed: 42\n  adam_beta3: 1", "unknown key train.adam_beta3; did you mean train.adam_beta2?"),
        (
            "seed: 42",
            "seed: 42\n  adam_beta2: abc",
            "train.adam_beta2=abc: input should be a valid number, unable to parse string as a number",
        ),
        ("seed: 42", "seed: 42\n  output_dir: x", "train.output_dir is set by boatyard itself and cannot be given"),
        ("input: text", "input: text\n  inptu: text", "unknown key data.inptu; did you mean data.input?"),
        ("input: text", "kind: text", "data.kind is now data.input"),
        ("path: data/raw/inbox.csv", "path: ???", "data.path must be given: add data.path=..."),
    ],
)
def test_what_does_not_fit_is_told_with_the_file(tmp_path: Path, before: str, after: str, sentence: str) -> None:
    file = tmp_path / "params.yaml"
    file.write_text(COMMITTED.read_text().replace(before, after))
    with pytest.raises(UserError) as refusal:
        read_config(file)
    assert str(refusal.value) == f"{file}: {sentence}"


@pytest.mark.parametrize(
    "content",
    [b"data: [", b"- data\n", b"\xff\xfe\x01", b"data: 5\n", b"data: [1]\n", b"data: {input: text, task: regression}\n"]
    + [b"data: {input: text, task: regression}\nmodel: " + section for section in (b"null", b"3", b"{text: 3}")],
)
def test_what_is_no_configuration_is_told_in_one_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "params.yaml").write_bytes(content)
    with pytest.raises(UserError) as refusal:
        read_config(tmp_path / "params.yaml")
    assert str(refusal.value).startswith(str(tmp_path / "params.yaml"))
    assert "\n" not in str(refusal.value)


def test_a_command_takes_the_file_instead_of_overrides(capsys: pytest.CaptureFixture[str]) -> None:
    done: list[Config] = []
    assert run("train", "", done.append, ["--params", str(COMMITTED)]) == 0
    assert done == [read_config(COMMITTED)]
    assert run("train", "", done.append, ["--params", str(COMMITTED), "model=scratch"]) == 2
    assert run("train", "", done.append, ["--params", "nowhere.yaml"]) == 2
    assert len(done) == 1
    first, second = capsys.readouterr().err.splitlines()
    assert first == "train: --params FILE replaces overrides: use it without any"
    assert second == "train: nowhere.yaml: no such file or directory"
