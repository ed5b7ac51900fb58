"""A Docker engine, and a base image for where no registry can be asked.

    python tests/images/engine.py COMMAND [ARGUMENT ...]

The engine that answers already is used as it is. Else, for root on Debian, Debian's own engine is installed and started
on a private socket with a data folder of its own, without a bridge or a firewall rule; and a stand-in for
python:*-slim is made of Debian packages, once. Both are kept under ~/.cache/boatyard-images.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

HOME = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "boatyard-images")
STAND_IN = "boatyard-standin-python:3.11-slim"
NEEDED = 25e9  # bytes: the trainer alone is 7 GB, and is held twice
_PATH = "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
_CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"


class NoEngineError(Exception):
    """Neither is an engine here, nor may one be installed."""


@contextmanager
def engine() -> Iterator[dict[str, str]]:
    """The variables that `docker` and a build need: DOCKER_HOST and BASE_IMAGE, where they are not the usual ones.

    Raises:
        NoEngineError: with the reason.
    """
    if _answers({}):
        yield {}
        return
    if os.name != "posix" or os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise NoEngineError("no Docker engine answers, and only root on Debian can install one")
    HOME.mkdir(parents=True, exist_ok=True)
    if not (HOME / "data").exists() and shutil.disk_usage(HOME).free < NEEDED:
        raise NoEngineError(f"{HOME} has less than {NEEDED / 1e9:.0f} GB left for an engine's images")
    _install()
    # Debian's client goes before another that may be here and would miss its own plugins
    there = {
        "DOCKER_HOST": f"unix://{HOME}/engine.sock",
        "DOCKER_BUILDKIT": "1",
        "PATH": f"/usr/bin:{os.environ['PATH']}",
    }
    if _answers(there):  # another run started it
        yield there | _base(there)
        return
    with (HOME / "engine.log").open("w") as log:
        process = subprocess.Popen(_daemon(), stdout=log, stderr=log)
    try:
        limit = time.monotonic() + 30
        while not _answers(there):
            if process.poll() is not None or time.monotonic() > limit:
                raise RuntimeError(f"dockerd did not start: {(HOME / 'engine.log').read_text()[-2000:]}")
            time.sleep(0.2)
        yield there | _base(there)
    finally:
        process.terminate()
        process.wait(60)


def _answers(there: dict[str, str]) -> bool:
    try:
        subprocess.run(["docker", "version"], env=os.environ | there, check=True, capture_output=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return False
    return True


def _install() -> None:
    if Path("/usr/sbin/dockerd").exists() and shutil.which("mmdebstrap") and shutil.which("docker-compose"):
        return
    _tell("installing Debian's engine")
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with (HOME / "apt.log").open("w") as log:
        packages = ["docker.io", "docker-compose", "mmdebstrap"]
        for words in (["update"], ["install", "--yes", "--no-install-recommends", *packages]):
            subprocess.run(["apt-get", "-qq", *words], env=quiet, check=True, stdout=log, stderr=log)


def _daemon() -> list[str]:
    """In a mount namespace of its own: nothing of the host's changes."""
    import resource

    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    options = {
        "host": f"unix://{HOME}/engine.sock",
        "data-root": HOME / "data",
        "exec-root": HOME / "exec",
        "pidfile": HOME / "engine.pid",
        "default-ulimit": f"nofile={files}:{files}",
        "bridge": "none",
        **dict.fromkeys(("ip-forward", "iptables", "ip6tables"), "false"),
    }
    words = [f"--{name}={value}" for name, value in options.items()]
    return ["unshare", "--mount", "--propagation=private", "/usr/sbin/dockerd", *words]


def _base(there: dict[str, str]) -> dict[str, str]:
    """BASE_IMAGE, made where it is not there yet."""
    environment = os.environ | there
    if subprocess.run(["docker", "image", "inspect", STAND_IN], env=environment, capture_output=True).returncode:
        _tell("making the base image")
        python = "for name in python python3; do ln -sf /usr/bin/python3 $1/usr/local/bin/$name; done"
        hooks = [
            'cp /usr/local/share/ca-certificates/*.crt "$1"/usr/local/share/ca-certificates/ 2>/dev/null || true',
            'chroot "$1" update-ca-certificates >/dev/null 2>&1',
            'rm -f "$1"/usr/lib/python3*/EXTERNALLY-MANAGED',
            f'{python}; ln -sf /usr/bin/pip3 "$1"/usr/local/bin/pip',
        ]
        variables = {"PATH": _PATH, "LANG": "C.UTF-8", "SSL_CERT_FILE": _CERTIFICATES, "PIP_CERT": _CERTIFICATES}
        with TemporaryDirectory(dir=HOME) as folder:
            subprocess.run(
                ["mmdebstrap", "--quiet", "--variant=minbase", "--dpkgopt=force-unsafe-io"]
                + ["--include=ca-certificates,python3,python3-venv,python3-pip"]
                + [f"--customize-hook={hook}" for hook in hooks]
                + ["bookworm", f"{folder}/root.tar"],
                env={**os.environ, "TMPDIR": folder},
                check=True,
            )
            changes = [f"--change=ENV {name}={value}" for name, value in variables.items()]
            subprocess.run(
                ["docker", "import", *changes, '--change=CMD ["python3"]', f"{folder}/root.tar", STAND_IN],
                env=environment,
                check=True,
                stdout=subprocess.DEVNULL,
            )
    return {"BASE_IMAGE": STAND_IN}


def _tell(what: str) -> None:
    print(f"engine: {what}", file=sys.stderr, flush=True)  # noqa: T201


def main() -> int:
    """Runs the command with an engine at hand; its exit status."""
    if not sys.argv[1:]:
        print(__doc__, file=sys.stderr)  # noqa: T201
        return 2
    try:
        with engine() as there:
            return subprocess.run(sys.argv[1:], env=os.environ | there).returncode
    except NoEngineError as why:
        print(f"engine: {why}", file=sys.stderr)  # noqa: T201
        return 2


if __name__ == "__main__":
    sys.exit(main())
