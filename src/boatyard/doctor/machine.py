"""What this machine needs to train and serve."""

import netrc
import os
import platform
import shutil
import socket
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from boatyard.config.errors import UserError
from boatyard.doctor.checks import Verdict, check, ok, report, run_checks, warning, wrong
from boatyard.storage.writable import unwritable

if TYPE_CHECKING:
    from boatyard.config.schema import Config

_SECONDS = 15.0
_GIB = 2**30
_INSTALL_GIT = {"Darwin": "xcode-select --install", "Windows": "winget install --id Git.Git"}


@check("Python")
def python(config: "Config") -> Verdict:  # noqa: ARG001
    """The version that pyproject.toml requires."""
    from packaging.specifiers import SpecifierSet

    version, required = platform.python_version(), metadata.metadata("boatyard")["Requires-Python"]
    if SpecifierSet(required).contains(version, prereleases=True):
        return ok(version)
    return wrong(f"{version}, but {required} is required", "uv sync --python 3.12")


@check("packages")
def packages(config: "Config") -> Verdict:  # noqa: ARG001
    """The dependencies of the core, of training and of the cloud."""
    from packaging.requirements import Requirement

    bad = []
    for line in metadata.requires("boatyard") or []:
        requirement = Requirement(line)
        extras = ({"extra": extra} for extra in ("", "train", "cloud"))
        if requirement.marker and not any(requirement.marker.evaluate(extra) for extra in extras):
            continue
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            bad.append(f"{requirement.name} is missing")
            continue
        if not requirement.specifier.contains(version, prereleases=True):
            bad.append(f"{requirement.name} is {version}, not {requirement.specifier}")
    return wrong("; ".join(bad), "uv sync") if bad else ok("all installed")


@check("disk")
def disk(config: "Config") -> Verdict:
    """Room for runs: one of a small network takes tens of megabytes, one of a large network gigabytes."""
    folder = Path(config.paths.runs).absolute()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free / _GIB
    sentence = f"{free:.1f} GiB free in {folder}"
    if free < 1:
        return wrong(sentence, "uv run invoke clean")
    return warning(sentence, "uv run invoke clean") if free < 5 else ok(sentence)


@check("git")
def git(config: "Config") -> Verdict:  # noqa: ARG001
    """Models and images are labelled with the commit."""
    if shutil.which("git") is None:
        return wrong("not installed", _INSTALL_GIT.get(platform.system(), "sudo apt install git"))
    from boatyard.train.tracking import git_commit

    commit, _, changes = (git_commit(Path.cwd()) or "").partition("+")
    if not commit:  # no repository, or only another project's around it
        return warning("no commit here", 'git init && git add --all && git commit --message "Start from Boatyard"')
    return ok(f"{commit[:12]}, with changes" if changes else commit[:12])


@check("port")
def port(config: "Config") -> Verdict:  # noqa: ARG001
    """Where `invoke serve` listens."""
    from boatyard.config.environment import Listening

    try:
        where = Listening.from_environment()
        _listen(where.host, where.port)
    except UserError as error:
        return wrong(str(error), "unset PORT")
    except OSError as error:
        fix = f"uv run invoke serve --port={_listen('127.0.0.1', 0)}"
        return wrong(f"{where.port} on {where.host}: {error.strerror}", fix)
    return ok(f"{where.port} is free")


@check("DVC remote")
def dvc_remote(config: "Config") -> Verdict:  # noqa: ARG001
    """The remote that stores the versions of the data."""
    if not Path(".dvc", "config").is_file():
        return ok("none: data is not versioned here")
    process = subprocess.run([sys.executable, "-m", "dvc", "config", "--list"], capture_output=True, text=True)
    if process.returncode:
        return wrong(f"dvc does not run: {(process.stderr.strip().splitlines() or ['no message'])[-1]}", "uv sync")
    settings = dict(line.partition("=")[::2] for line in process.stdout.splitlines())
    name = settings.get("core.remote")
    if not (url := settings.get(f"remote.{name}.url")):
        return wrong("no default remote", "uv run dvc remote add --default storage ../boatyard-dvc")
    if "://" not in url:
        return ok(url) if Path(url).is_dir() else warning(f"{url} does not exist yet", "uv run dvc push")
    if not url.startswith("gs://"):
        return warning(f"{name} is {url}: only folders and gs:// are checked here", "uv run dvc status --cloud")
    if reason := _unusable(url):
        bucket = url.removeprefix("gs://").partition("/")[0]
        return wrong(reason, f"gcloud storage buckets create gs://{bucket} --uniform-bucket-level-access")
    return ok(url)


@check("W&B")
def wandb(config: "Config") -> Verdict:
    """Runs are recorded on disk by default; online needs a key."""
    mode = config.tracking.mode
    if mode != "online":
        return ok(f"{mode}: needs no account")
    host = urlsplit(os.environ.get("WANDB_BASE_URL") or "https://api.wandb.ai").hostname or ""
    if os.environ.get("WANDB_API_KEY") or _is_in_netrc(host):
        return ok("online, with a key")
    return wrong(f"online, but there is no key for {host}", "uv run wandb login")


@check("storage")
def storage(config: "Config") -> Verdict:
    """Where models, the journal and jobs are stored: BOATYARD_STORAGE."""
    root = config.paths.storage
    if reason := _unusable(root):
        if root.startswith("gs://"):  # part: cloud
            return wrong(reason, "uv run invoke cloud.doctor")  # part: cloud
        return wrong(reason, "unset BOATYARD_STORAGE")
    return ok(root)


@check("model")
def model(config: "Config") -> Verdict:
    """The model that `invoke serve` serves: BOATYARD_MODEL."""
    from boatyard.registry import UnknownModel, names, resolve
    from boatyard.registry.settings import ModelSettings
    from boatyard.storage import open_storage

    try:
        settings = ModelSettings.from_environment()
    except UserError as error:
        return wrong(str(error), "unset BOATYARD_MODEL")
    storage = open_storage(settings.apart or config.paths.storage)
    try:
        return ok(f"{settings.model} is {resolve(storage, settings.model)}")
    except UnknownModel as error:
        verdict = wrong if "model" in settings.model_fields_set else warning
        return verdict(str(error), "uv run invoke models" if names(storage) else "uv run invoke pipeline")


CHECKS = (python, packages, disk, git, port, dvc_remote, wandb, storage, model)


def doctor(config: "Config") -> None:
    """Print the table of results. Raises Failed: something is wrong."""
    report(run_checks(CHECKS, config, _SECONDS))


def _unusable(root: str) -> str | None:
    try:
        reason = unwritable(root)
    except UserError as error:
        return str(error)
    return f"{root} cannot be written: {reason}" if reason else None


def _listen(host: str, port: int) -> int:
    """Bind the port, or any free one for port 0, and return it. Raises OSError: it is taken."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as listener:
        if os.name != "nt":  # there it would share a port that is taken
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen()
        bound: int = listener.getsockname()[1]
        return bound


def _is_in_netrc(host: str) -> bool:
    try:
        return netrc.netrc(os.environ.get("NETRC")).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False
