"""Weights & Biases: offline by default, no account needed."""

import logging
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from typing import Any

from boatyard.config.errors import UserError
from boatyard.config.processes import is_main
from boatyard.config.schema import Config

log = logging.getLogger(__name__)

_GIT_VARIABLES = {
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
def tracked(config: Config, job: str, training: Path | None = None) -> Iterator[None]:
    """Record the block as one run, or as part of the enclosing `tracked` block's run.

    `training`: a training run's folder: where its training was cut off, the run that recorded it goes on.

    Raises:
        UserError: `tracking=wandb` without a login.
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
    # part: cloud
    if config.tracking.mode == "online":
        from boatyard.cloud.secrets import load_secret

        load_secret("WANDB_API_KEY")
    # part end
    known = None if training is None else _known_id(config, training)
    try:
        run = wandb.init(
            id=known,
            resume="allow" if known else None,
            allow_val_change=True,  # when it goes on: what does not change the training may differ, such as paths
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
    try:  # W&B's own context manager prints a traceback even for wrong input
        yield
    except BaseException:
        run.finish(exit_code=1)
        raise
    run.finish()
    log.info("tracking: recorded in %s", Path(run.dir).parent)


def _known_id(config: Config, training: Path) -> str:
    """W&B's name for the run, kept beside the checkpoints, and a new one unless these are gone on from."""
    from boatyard.storage import open_storage

    kept = open_storage(config.paths.checkpoints or config.paths.runs)
    key = f"{config.data.name}/{training.name}/wandb-run"
    stored = kept.read_versioned(key)
    if stored and config.train.resume == "auto" and not (training / "network").exists():
        return stored[0].decode()
    new = token_hex(4)
    kept.write(key, new.encode())
    return new


def record(facts: Mapping[str, Any]) -> None:
    """Add facts to the run's summary, such as the data fingerprint or final metrics."""
    run = _current()
    if run is not None:
        run.summary.update(dict(facts))


def record_plots(folder: Path) -> None:
    """Log a report's plots to the run."""
    run = _current()
    if run is not None:
        import wandb

        run.log({plot.stem: wandb.Image(str(plot)) for plot in sorted(folder.glob("*.png"))})


def record_bundle(name: str, version: str, folder: Path) -> None:
    """Log the published bundle as an artifact."""
    run = _current()
    if run is not None:
        import wandb

        artifact = wandb.Artifact(name, type="model", metadata={"version": version})
        artifact.add_dir(str(folder))
        run.log_artifact(artifact)


def git_commit(folder: Path = Path(__file__).parent) -> str | None:
    """The commit that the folder, by default this code, is checked out at, with `+changes` if files differ from it.

    In an image it is the image's commit. None if the repository around the folder is another project's: the folder
    is not its root, and none of its files are tracked.
    """
    if image_commit := os.environ.get("BOATYARD_COMMIT"):
        return image_commit
    try:
        root = _git(folder, "rev-parse", "--show-toplevel")
        if not (Path(root).resolve() == folder.resolve() or _git(folder, "ls-files", "--", ".")):
            return None
        commit = _git(folder, "rev-parse", "--verify", "HEAD")
        changed = _git(Path(root), "status", "--porcelain")
    except (OSError, subprocess.CalledProcessError):  # no git, no repository, no commit, or "dubious ownership"
        return None
    return f"{commit}+changes" if changed else commit


def _git(folder: Path, *arguments: str) -> str:
    # git sets them for its hooks, where they point at the repository of the hook
    environment = {name: value for name, value in os.environ.items() if name not in _GIT_VARIABLES}
    process = subprocess.run(["git", *arguments], cwd=folder, env=environment, capture_output=True, check=True)  # noqa: S603
    return os.fsdecode(process.stdout).strip()


def _current() -> Any:
    import sys

    wandb = sys.modules.get("wandb")
    return None if wandb is None else wandb.run
