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

from boatyard.config.addresses import is_port
from boatyard.config.errors import UserError
from boatyard.doctor.checks import Verdict, ask, check, ok, tell, warning, wrong
from boatyard.storage.writable import unwritable

if TYPE_CHECKING:
    from boatyard.config.schema import Config

_SECONDS = 15.0
_GIB = 2**30
_INSTALL_GIT = {"Darwin": "xcode-select --install", "Windows": "winget install --id Git.Git"}


@check("Python")
def python(config: "Config") -> Verdict:  # noqa: ARG001
    """As pyproject.toml asks."""
    from packaging.specifiers import SpecifierSet

    found, asked = platform.python_version(), metadata.metadata("boatyard")["Requires-Python"]
    if SpecifierSet(asked).contains(found, prereleases=True):
        return ok(found)
    return wrong(f"{found}, and {asked} is asked for", "uv sync --python 3.12")


@check("packages")
def packages(config: "Config") -> Verdict:  # noqa: ARG001
    """Those of the package itself, of training and of the cloud."""
    from packaging.requirements import Requirement

    bad = []
    for line in metadata.requires("boatyard") or []:
        asked = Requirement(line)
        extras = ({"extra": extra} for extra in ("", "train", "cloud"))
        if asked.marker and not any(asked.marker.evaluate(extra) for extra in extras):
            continue
        try:
            version = metadata.version(asked.name)
        except metadata.PackageNotFoundError:
            bad.append(f"{asked.name} is missing")
            continue
        if not asked.specifier.contains(version, prereleases=True):
            bad.append(f"{asked.name} is {version}, not {asked.specifier}")
    return wrong("; ".join(bad), "uv sync") if bad else ok("all there")


@check("disk")
def disk(config: "Config") -> Verdict:
    """Where runs are kept: a run of a small network takes tens of megabytes, of a large one gigabytes."""
    folder = Path(config.paths.runs).absolute()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free / _GIB
    told = f"{free:.1f} GiB free in {folder}"
    if free < 1:
        return wrong(told, "uv run invoke clean")
    return warning(told, "uv run invoke clean") if free < 5 else ok(told)


@check("git")
def git(config: "Config") -> Verdict:  # noqa: ARG001
    """It names the commit that a model came from, and the images."""
    if shutil.which("git") is None:
        return wrong("not there", _INSTALL_GIT.get(platform.system(), "sudo apt install git"))
    from boatyard.train.tracking import git_commit

    commit, _, changes = (git_commit(Path.cwd()) or "").partition("+")
    if not commit:  # none here, or another project's around it
        return warning("no commit here", 'git init && git add --all && git commit --message "Start from Boatyard"')
    return ok(f"{commit[:12]}, and changes" if changes else commit[:12])


@check("port")
def port(config: "Config") -> Verdict:  # noqa: ARG001
    """Where `invoke serve` listens."""
    given = os.environ.get("PORT") or "8000"
    if not is_port(given):
        return wrong(f"PORT is {given!r}, and a port is a number from 1 to 65535", "unset PORT")
    host = os.environ.get("BOATYARD_HOST") or "127.0.0.1"
    try:
        _listen(host, int(given))
    except OSError as error:
        return wrong(f"{given} on {host}: {error.strerror}", f"uv run invoke serve --port={_listen('127.0.0.1', 0)}")
    return ok(f"{given} is free")


@check("DVC remote")
def dvc_remote(config: "Config") -> Verdict:  # noqa: ARG001
    """Where the data's versions are kept."""
    if not Path(".dvc", "config").is_file():
        return ok("none: data is not versioned here")
    asked = subprocess.run([sys.executable, "-m", "dvc", "config", "--list"], capture_output=True, text=True)
    if asked.returncode:
        return wrong(f"dvc does not run: {(asked.stderr.strip().splitlines() or ['no word'])[-1]}", "uv sync")
    settings = dict(line.partition("=")[::2] for line in asked.stdout.splitlines())
    name = settings.get("core.remote")
    if not (url := settings.get(f"remote.{name}.url")):
        return wrong("no default remote", "uv run dvc remote add --default storage ../boatyard-dvc")
    if "://" not in url:
        return ok(url) if Path(url).is_dir() else warning(f"{url} is not there yet", "uv run dvc push")
    if not url.startswith("gs://"):
        return warning(f"{name} is {url}: only folders and gs:// are looked at here", "uv run dvc status --cloud")
    if refusal := _unusable(url):
        bucket = url.removeprefix("gs://").partition("/")[0]
        return wrong(refusal, f"gcloud storage buckets create gs://{bucket} --uniform-bucket-level-access")
    return ok(url)


@check("W&B")
def wandb(config: "Config") -> Verdict:
    """Recorded on disk unless told otherwise; online needs a key."""
    mode = config.tracking.mode
    if mode != "online":
        return ok(f"{mode}: needs no account")
    host = urlsplit(os.environ.get("WANDB_BASE_URL") or "https://api.wandb.ai").hostname or ""
    if os.environ.get("WANDB_API_KEY") or _is_in_netrc(host):
        return ok("online, and a key is there")
    return wrong(f"online, and there is no key for {host}", "uv run wandb login")


@check("storage")
def storage(config: "Config") -> Verdict:
    """Where models, the journal and jobs lie: BOATYARD_STORAGE."""
    root = config.paths.storage
    if refusal := _unusable(root):
        return wrong(refusal, "uv run invoke cloud.doctor" if root.startswith("gs://") else "unset BOATYARD_STORAGE")
    return ok(root)


@check("model")
def model(config: "Config") -> Verdict:
    """What `invoke serve` answers with: BOATYARD_MODEL."""
    from boatyard.config.environment import DEFAULT_MODEL
    from boatyard.registry import UnknownModel, names, parse_reference, resolve
    from boatyard.storage import open_storage

    given = os.environ.get("BOATYARD_MODEL")
    kept = open_storage(config.paths.storage)
    try:
        reference = parse_reference(given) if given else DEFAULT_MODEL
        return ok(f"{reference} is {resolve(kept, reference)}")
    except UnknownModel as error:
        mend = "uv run invoke models" if names(kept) else "uv run invoke pipeline"
        return wrong(str(error), mend) if given else warning(str(error), mend)
    except UserError as error:
        return wrong(f"BOATYARD_MODEL: {error}", "unset BOATYARD_MODEL")


CHECKS = (python, packages, disk, git, port, dvc_remote, wandb, storage, model)


def doctor(config: "Config") -> None:
    """Print the table. Raises Failed: something is wrong."""
    tell(ask(CHECKS, config, _SECONDS))


def _unusable(root: str) -> str | None:
    try:
        why = unwritable(root)
    except UserError as error:
        return str(error)
    return f"{root} cannot be written: {why}" if why else None


def _listen(host: str, port: int) -> int:
    """The port, which is free; port 0 finds one. Raises OSError."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as tried:
        if os.name != "nt":  # there it would share a port that is taken
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        tried.bind((host, port))
        tried.listen()
        found: int = tried.getsockname()[1]
        return found


def _is_in_netrc(host: str) -> bool:
    try:
        return netrc.netrc(os.environ.get("NETRC")).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False
