"""Weights & Biases: offline by default, no account needed."""

import logging
import os
import subprocess
from base64 import b64decode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from boatyard.config.errors import UserError
from boatyard.config.processes import is_main
from boatyard.config.schema import Config

log = logging.getLogger(__name__)

_OF_ONE_REPOSITORY = {
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_DIR",
    "GIT_INDEX_FILE",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_WORK_TREE",
}


@contextmanager
def tracked(config: Config, job: str) -> Iterator[None]:
    """Record what happens inside as one run; inside another `tracked`, it goes on with that run.

    Raises:
        UserError: `tracking=wandb`, and nobody is logged in.
    """
    if config.tracking.mode == "disabled" or not is_main():
        yield
        return
    import wandb

    if wandb.run is not None:
        yield
        return
    runs = Path(config.paths.runs)
    runs.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("WANDB_SILENT", "true")
    if config.tracking.mode == "online":
        _get_key()
    try:
        run = wandb.init(
            project=config.tracking.project,
            entity=config.tracking.entity,
            mode=config.tracking.mode,
            dir=runs,
            job_type=job,
            group=config.data.name,
            config={**config.model_dump(mode="json"), "git_commit": git_commit()},
        )
    except wandb.errors.Error as error:
        raise UserError(f"tracking=wandb: {error}; run `wandb login`, or choose tracking=offline or none") from None
    try:  # W&B's own `with` prints a traceback, even for a UserError
        yield
    except BaseException:
        run.finish(exit_code=1)
        raise
    run.finish()
    log.info("tracking: recorded in %s", Path(run.dir).parent)


def record(facts: Mapping[str, Any]) -> None:
    """Put facts beside the run's configuration and results, e.g. the data fingerprint or final metrics."""
    run = _current()
    if run is not None:
        run.summary.update(dict(facts))


def record_plots(folder: Path) -> None:
    """Show a report's pictures with the run."""
    run = _current()
    if run is not None:
        import wandb

        run.log({plot.stem: wandb.Image(str(plot)) for plot in sorted(folder.glob("*.png"))})


def record_bundle(name: str, version: str, folder: Path) -> None:
    """Keep the published bundle as an artifact."""
    run = _current()
    if run is not None:
        import wandb

        artifact = wandb.Artifact(name, type="model", metadata={"version": version})
        artifact.add_dir(str(folder))
        run.log_artifact(artifact)


def git_commit(folder: Path = Path(__file__).parent) -> str | None:
    """The commit that the folder, by default this code, is checked out at, with `+changes` when files differ from it.

    An image's own, in an image. None where the repository around the folder is another project's: it neither begins
    there nor tracks anything in it.
    """
    if of_image := os.environ.get("BOATYARD_COMMIT"):
        return of_image
    try:
        root = _git(folder, "rev-parse", "--show-toplevel")
        if not (Path(root).resolve() == folder.resolve() or _git(folder, "ls-files", "--", ".")):
            return None
        commit = _git(folder, "rev-parse", "--verify", "HEAD")
        changed = _git(Path(root), "status", "--porcelain")
    except (OSError, subprocess.CalledProcessError):  # no git, no repository, no commit, or one that git does not trust
        return None
    return f"{commit}+changes" if changed else commit


def _git(folder: Path, *words: str) -> str:
    # git sets these for its hooks, and they point at the repository that the hook runs in
    environment = {name: value for name, value in os.environ.items() if name not in _OF_ONE_REPOSITORY}
    ran = subprocess.run(["git", *words], cwd=folder, env=environment, capture_output=True, check=True)  # noqa: S603
    return os.fsdecode(ran.stdout).strip()


def _get_key() -> None:
    """Fetch the API key into this process's environment, where only its name in Secret Manager is known."""
    name = os.environ.get("WANDB_API_KEY_SECRET")
    if not name or os.environ.get("WANDB_API_KEY"):
        return
    from boatyard.cloud.rest import Api, open_session

    answer = Api(open_session(), "secretmanager").get(f"v1/{name}/versions/latest:access")
    os.environ["WANDB_API_KEY"] = b64decode(answer["payload"]["data"]).decode().strip()


def _current() -> Any:
    import sys

    wandb = sys.modules.get("wandb")
    return None if wandb is None else wandb.run
