import json
import os
import platform
import shutil
import socket
import subprocess
import sys
from collections import namedtuple
from functools import cache
from importlib import metadata
from pathlib import Path

import pytest

from boatyard.config.compose import load_config
from boatyard.config.schema import Config
from boatyard.doctor import machine as doctor
from boatyard.doctor.__main__ import main

pytestmark = pytest.mark.unit

Usage = namedtuple("Usage", "total used free")


@cache
def config(*overrides: str) -> Config:
    return load_config(overrides)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, and an environment that sets nothing."""
    for name in ("PORT", "BOATYARD_HOST", "BOATYARD_MODEL", "BOATYARD_STORAGE", "WANDB_API_KEY", "WANDB_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_python_that_runs_these_tests_and_its_packages_fit() -> None:
    assert doctor.python(config()).state == "ok"
    assert doctor.packages(config()).state == "ok"


@pytest.mark.parametrize("version", ["3.10.14", "3.14.0"])
def test_another_python_is_wrong(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "python_version", lambda: version)
    result = doctor.python(config())
    assert (result.state, result.fix) == ("wrong", "uv sync --python 3.12")
    assert version in result.sentence


def test_a_package_that_is_missing_or_too_old_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = metadata.version

    def version(name: str) -> str:
        if name == "torch":
            raise metadata.PackageNotFoundError(name)
        return "0.1" if name == "rich" else real(name)

    monkeypatch.setattr(metadata, "version", version)
    result = doctor.packages(config())
    assert (result.state, result.fix) == ("wrong", "uv sync")
    assert "torch is missing" in result.sentence
    assert "rich is 0.1, not >=" in result.sentence


@pytest.mark.parametrize(("gib", "state"), [(0.5, "wrong"), (3, "warning"), (50, "ok")])
def test_the_disk_must_have_room_for_runs(gib: float, state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(0, 0, gib * 2**30))
    assert doctor.disk(config("paths.runs=not/yet/there")).state == state


def test_git_must_be_there_and_a_commit_should(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert doctor.git(config()).state == "warning"
    subprocess.run(["git", "init", "-q"], check=True)
    words = [
        "git",
        "-c",
        "user.name=A",
        "-c",
        "user.email=a@example.org",
        "commit",
        "-q",
        "--allow-empty",
        "-m",
        "first",
    ]
    subprocess.run(words, check=True)
    assert doctor.git(config()).state == "ok"
    inside = folder / "inside"
    inside.mkdir()
    monkeypatch.chdir(inside)
    assert doctor.git(config()).state == "warning", "the commit is another project's"
    monkeypatch.setenv("PATH", str(folder))
    assert doctor.git(config()).state == "wrong"


def test_a_port_that_is_taken_is_wrong_and_a_free_one_is_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        monkeypatch.setenv("PORT", str(taken.getsockname()[1]))
        result = doctor.port(config())
        assert result.state == "wrong"
        words, _, free = (result.fix or "").partition("=")
        assert words == "uv run invoke serve --port"
        monkeypatch.setenv("PORT", free)
        assert doctor.port(config()).state == "ok"


@pytest.mark.parametrize("port", ["http", "0", "65536", "-1"])
def test_what_is_no_port_is_wrong(port: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", port)
    assert (doctor.port(config()).state, doctor.port(config()).fix) == ("wrong", "unset PORT")


def test_data_that_is_not_versioned_needs_no_remote() -> None:
    assert doctor.dvc_remote(config()).state == "ok"


@pytest.mark.parametrize(
    ("url", "state", "sentence"),
    [
        ("remote", "ok", "remote"),
        ("elsewhere", "warning", "does not exist yet"),
        ("s3://bucket/prefix", "warning", "only folders and gs://"),
        (None, "wrong", "no default remote"),
    ],
)
def test_the_remote_of_dvc_is_checked(url: str | None, state: str, sentence: str, folder: Path) -> None:
    (folder / "remote").mkdir()
    (folder / ".dvc").mkdir()
    place = f"[core]\n    remote = kept\n['remote \"kept\"']\n    url = {url if '://' in str(url) else f'../{url}'}\n"
    (folder / ".dvc" / "config").write_text(place if url else "[core]\n    analytics = false\n")
    result = doctor.dvc_remote(config())
    assert (result.state, sentence in result.sentence) == (state, True)


def test_a_dvc_that_does_not_run_is_wrong(folder: Path) -> None:
    (folder / ".dvc").mkdir()
    (folder / ".dvc" / "config").write_text("no configuration")
    result = doctor.dvc_remote(config())
    assert (result.state, result.sentence.startswith("dvc does not run: ")) == ("wrong", True)


def test_tracking_needs_a_key_only_online(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    online = config("tracking=wandb")
    assert doctor.wandb(config()).state == "ok"
    assert (doctor.wandb(online).state, doctor.wandb(online).fix) == ("wrong", "uv run wandb login")
    (folder / "netrc").write_text("machine api.wandb.ai login user password secret\n")
    assert doctor.wandb(online).state == "ok"
    monkeypatch.setenv("WANDB_BASE_URL", "https://wandb.example.org")
    assert doctor.wandb(online).state == "wrong"
    monkeypatch.setenv("WANDB_API_KEY", "secret")
    assert doctor.wandb(online).state == "ok"
    assert "secret" not in doctor.wandb(online).sentence


def test_a_storage_is_a_folder_that_may_come_yet_and_no_file(folder: Path) -> None:
    (folder / "file").write_text("")
    assert doctor.storage(config(f"paths.storage={folder}")).state == "ok"
    assert doctor.storage(config(f"paths.storage={folder}/new")).state == "ok"
    assert doctor.storage(config(f"paths.storage={folder}/file")).state == "wrong"
    assert not (folder / "new").exists()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_storage_that_cannot_be_written_is_wrong(folder: Path) -> None:
    (folder / "kept").mkdir(mode=0o500)
    assert doctor.storage(config(f"paths.storage={folder}/kept")).state == "wrong"


def test_a_model_that_is_set_must_be_published(publish, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = config(f"paths.storage={tmp_path / 'storage'}")
    assert (doctor.model(stored).state, doctor.model(stored).fix) == ("warning", "uv run invoke pipeline")
    monkeypatch.setenv("BOATYARD_MODEL", "ferry@production")
    assert (doctor.model(stored).state, doctor.model(stored).fix) == ("wrong", "uv run invoke pipeline")
    manifest = publish()
    monkeypatch.setenv("BOATYARD_MODEL", f"{manifest.name}@staging")
    assert (doctor.model(stored).state, doctor.model(stored).fix) == ("wrong", "uv run invoke models")
    monkeypatch.setenv("BOATYARD_MODEL", f"{manifest.name}@{manifest.version}")
    assert doctor.model(stored).state == "ok"
    monkeypatch.setenv("BOATYARD_MODEL", "no model")
    assert (doctor.model(stored).state, doctor.model(stored).fix) == ("wrong", "unset BOATYARD_MODEL")


def test_the_command_lists_every_check_and_changes_nothing(folder: Path) -> None:
    words = [sys.executable, "-m", "boatyard.doctor", "tracking=wandb"]
    environment = os.environ | {"COLUMNS": "80", "PORT": "0"}
    shown = subprocess.run(words, capture_output=True, text=True, encoding="utf-8", env=environment)
    assert shown.returncode == 1
    assert "wrong: port, W&B" in shown.stderr
    assert all(check.name in shown.stdout for check in doctor.CHECKS)
    assert max(len(line) for line in shown.stdout.splitlines()) <= 80
    assert {"unset PORT", "uv run wandb login"} <= set(shown.stdout.splitlines())
    assert list(folder.iterdir()) == []


def test_nothing_wrong_is_status_0(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["doctor"])
    monkeypatch.setenv("PORT", str(doctor._listen("127.0.0.1", 0)))
    assert main() == 0
    assert "model (warning):\nuv run invoke pipeline" in capsys.readouterr().out


def test_a_missing_package_that_comes_before_all_checks_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "hydra.py").write_text(f"raise ModuleNotFoundError('gone', name={json.dumps('hydra')})")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}
    words = [sys.executable, "-m", "boatyard.doctor"]
    shown = subprocess.run(words, capture_output=True, text=True, env=environment)
    assert (shown.returncode, shown.stderr) == (1, "doctor: the package hydra is not installed; run `uv sync`\n")
