"""What a person does with this repository: `uv run invoke --list`. Each task calls the package or one tool."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from invoke import Collection, Context, Exit, task

from boatyard.config.processes import ending_signals

_OVERRIDES = {"override": "a Hydra override such as model=minilm or train.seed=1; repeatable"}


def _run(context: Context, *words: str, **environment: str) -> None:
    """Run, and pass on what signals come in and what exit status goes out: who stops the task stops the command.

    A task does not become the command (exec), because another may follow, as in `invoke lint types`.
    """
    how = context.config.run
    if how.echo or how.dry:  # invoke's own flags
        print(shlex.join(words), flush=True)
    if how.dry:
        return
    came: list[int] = []
    running: list[subprocess.Popen[bytes]] = []

    def pass_on(number: int, _: object) -> None:
        if not running:
            came.append(number)
        elif number != signal.SIGINT or not _hears_the_keyboard():
            running[0].send_signal(number)

    before = {number: signal.signal(number, pass_on) for number in ending_signals()}
    try:
        running.append(subprocess.Popen(words, env={**os.environ, **environment}))
        for number in came:
            running[0].send_signal(number)
        status = running[0].wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if status:
        raise Exit(code=status if status > 0 else 128 - status)


def _hears_the_keyboard() -> bool:
    """Whether a terminal sends Ctrl-C to the command itself: passed on, it would count as pressed twice."""
    if os.name == "nt":
        return True
    try:
        with Path("/dev/tty").open() as terminal:
            return os.tcgetpgrp(terminal.fileno()) == os.getpgrp()
    except OSError:  # there is no terminal
        return False


def _module(context: Context, module: str, *words: str, **environment: str) -> None:
    _run(context, sys.executable, "-m", module, *words, **environment)


def _tool(name: str) -> str:
    """A command that was installed beside this Python, whatever the PATH."""
    return str(Path(sys.executable).with_name(name))


@task(iterable=["override"], help=_OVERRIDES)
def pipeline(context, override):
    """Everything: prepare, train, evaluate, export, publish, ask the model one question."""
    _module(context, "boatyard.pipeline", *override)


@task(iterable=["override"], help=_OVERRIDES)
def data(context, override):
    """Read, check, split and tokenise the rows; write the data report."""
    _module(context, "boatyard.data", *override)


@task(iterable=["override"], help={"resume": "go on where such a run stopped, as is the default", **_OVERRIDES})
def train(context, override, resume=False):
    """Fit the network."""
    _module(context, "boatyard.train", *override, *(["train.resume=auto"] if resume else []))


@task(iterable=["override"], help=_OVERRIDES)
def profile(context, override):
    """Tell where a training step's time goes."""
    _module(context, "boatyard.train.profile", *override)


@task(iterable=["override"], help={"name": "a file in configs/sweep: quick, finetune", **_OVERRIDES})
def sweep(context, override, name="quick"):
    """Search for better settings on the validation split."""
    _module(context, "boatyard.pipeline.sweep", f"sweep={name}", *override)


@task(iterable=["override"], help=_OVERRIDES)
def evaluate(context, override):
    """Score what was trained, beside a simple baseline."""
    _module(context, "boatyard.evaluate", *override)


@task(iterable=["override"], help=_OVERRIDES)
def export(context, override):
    """Make the bundle that is served: ONNX, int8 where it is as good."""
    _module(context, "boatyard.export", *override)


@task(iterable=["override"], help=_OVERRIDES)
def retrain(context, override):
    """Learn from feedback in the journal, and promote what is better by more than chance."""
    _module(context, "boatyard.retrain", *override)


@task(iterable=["override"], help=_OVERRIDES)
def repro(context, override):
    """Redo the stages that something changed for: what DVC keeps."""
    _module(context, "boatyard.config.params", *override)
    _module(context, "dvc", "repro")


@task
def push(context):
    """Copy what DVC keeps to its remote."""
    _module(context, "dvc", "push")


@task
def pull(context):
    """Fetch what DVC keeps from its remote."""
    unmade = [] if Path("dvc.lock").exists() else ["--allow-missing"]  # no stage was ever run: only rows are kept
    _module(context, "dvc", "pull", *unmade)


@task
def models(context):
    """List what is published, and what each alias points at."""
    _module(context, "boatyard.registry", "models")


@task(iterable=["override"], help=_OVERRIDES)
def stage(context, name, version, override):
    """Hold a version's size, speed and accuracy against production's."""
    _module(context, "boatyard.registry.staging", name, version, *override)


_MOVING = {"alias": "the alias to move", "expected": "the version that it must point at now; none: it must be new"}


@task(help=_MOVING)
def promote(context, name, version, alias="production", expected=""):
    """Point an alias at a version."""
    _move(context, "promote", name, version, alias=alias, expected=expected)


@task(help=_MOVING)
def rollback(context, name, alias="production", expected=""):
    """Point an alias at what it pointed at before."""
    _move(context, "rollback", name, alias=alias, expected=expected)


def _move(context: Context, *words: str, alias: str, expected: str) -> None:
    _module(context, "boatyard.registry", *words, f"--alias={alias}", *([f"--expected={expected}"] if expected else []))


@task(help={"model": "NAME, NAME@ALIAS or NAME@VERSION", "port": "to listen on"})
def serve(context, model="", port=""):
    """Answer over HTTP; the page to try it is at /docs."""
    given = {"BOATYARD_MODEL": model, "PORT": port}
    _module(context, "boatyard.api", **{name: value for name, value in given.items() if value})


@task(help={"model": "NAME, NAME@ALIAS or NAME@VERSION", "port": "to listen on"})
def monitor(context, model="", port=""):
    """Watch a model over HTTP: the latest drift report at /drift, figures at /statistics."""
    given = {"BOATYARD_MODEL": model, "PORT": port}
    _module(context, "boatyard.monitor", "serve", **{name: value for name, value in given.items() if value})


@task(help={"model": "NAME, NAME@ALIAS or NAME@VERSION"})
def drift(context, model=""):
    """Compare the last day's traffic with what the model was accepted on; exit status 3 on drift."""
    _module(context, "boatyard.monitor", **({"BOATYARD_MODEL": model} if model else {}))


@task(help={"port": "to listen on, 8501 by default"})
def frontend(context, port=""):
    """Show the web page, in front of the api (BOATYARD_API) and the monitor (BOATYARD_MONITOR)."""
    _module(context, "boatyard.frontend", **({"PORT": port} if port else {}))


@task
def stack(context):
    """Start the server, the monitor, the web page and, where it is installed, Prometheus; Ctrl-C ends all of them."""
    _run(context, sys.executable, str(Path("deploy", "local", "stack.py")))


@task
def screenshots(context):
    """Take the pictures of the web page that docs/frontend.md shows."""
    _module(context, "pytest", "tests/browser/test_screenshots.py", "--screenshots=docs/images")


@task(
    help={
        "select": "only tests that match, as pytest's -k",
        "unit": "only those that need no server and no training",
        "images": "only those that build and run the images",
        "all_": "everything, with the coverage, as continuous integration does",
    }
)
def test(context, select="", unit=False, images=False, all_=False):
    """Run the tests of the main job and of all its parts, in minutes; those marked slow only with --all or --select."""
    parts = ["cloud", "integration", "unit"]  # in this order, so that no long one is alone at the end
    chosen = ["-k", select] if select else []
    if unit:
        parts = ["unit"]
    elif images:
        parts = ["images"]
    elif all_:
        parts = ["images", "docs", "browser", "published", *parts]
        chosen += [] if select else ["--cov", "--cov-report=term"]
    elif not select:
        chosen += ["-m", "not slow"]
    folders = [f"tests/{part}" for part in parts]
    two = ["--numprocesses=2", "--no-loadscope-reorder"]  # most tests wait for a process that starts
    _module(context, "pytest", *two, *folders, *chosen, OMP_NUM_THREADS="1")


@task(help={"check": "write nothing, say what is not as the source has it"})
def alerts(context, check=False):
    """Make the alerts of Prometheus and of Cloud Monitoring from deploy/alerts/alerts.yaml."""
    _module(context, "boatyard.cloud.alerts", *(["--check"] if check else []))


@task(help={"serve": "show it at http://localhost:8010, and again after each change"})
def docs(context, serve=False):
    """Build the documentation into site/; a link or a page that is missing is an error."""
    words = ["serve", "--dev-addr=localhost:8010"] if serve else ["build"]
    _module(context, "mkdocs", *words, "--strict", NO_MKDOCS_2_WARNING="1")


@task(iterable=["override"], help=_OVERRIDES)
def doctor(context, override):
    """Check what this machine needs, and change nothing."""
    _module(context, "boatyard.doctor", *override)


@task
def lint(context):
    """Check style and find likely mistakes, in configuration and workflows too."""
    _module(context, "ruff", "check")
    _module(context, "ruff", "format", "--check")
    _run(context, sys.executable, str(Path("deploy", "check.py")))
    _run(context, _tool("zizmor"), "--offline", "--quiet", ".github")
    _run(context, _tool("hadolint"), *map(str, sorted(Path("dockerfiles").iterdir())))
    lock(context, check=True)


@task(help={"check": "change nothing; fail where pyproject.toml says otherwise"})
def lock(context, check=False):
    """Pin what the images install, by hash, in requirements/."""
    _run(context, sys.executable, str(Path("requirements", "lock.py")), *(["--check"] if check else []))


@task(help={"name": "only this one of dockerfiles/"})
def images(context, name=""):
    """Build the images, as boatyard-NAME:COMMIT and boatyard-NAME:latest; BASE_IMAGE is what they stand on."""
    from boatyard import __version__
    from boatyard.train.tracking import git_commit

    commit = git_commit() or "unknown"
    given = {"COMMIT": commit, "VERSION": __version__, "BASE_IMAGE": os.environ.get("BASE_IMAGE")}
    arguments = [f"--build-arg={key}={value}" for key, value in given.items() if value]
    for image in [name] if name else sorted(file.stem for file in Path("dockerfiles").iterdir()):
        tags = [f"--tag=boatyard-{image}:{tag}" for tag in (commit.replace("+", "-"), "latest")]
        file = f"--file=dockerfiles/{image}.dockerfile"
        _run(context, "docker", "build", "--network=host", *arguments, *tags, file, ".", DOCKER_BUILDKIT="1")


@task
def types(context):
    """Check the types."""
    _module(context, "mypy")


@task(name="format")
def format_(context):
    """Mend the style."""
    _module(context, "ruff", "check", "--fix-only")
    _module(context, "ruff", "format")


@task(
    help={
        "name": "a file in benchmarks/: banking77, drift, inbox, jobs, journal, prepare, serve, start, train",
        "arguments": "passed on to it",
    }
)
def bench(context, name, arguments=""):
    """Measure, and write the result to reports/benchmarks/."""
    _run(context, sys.executable, str(Path("benchmarks", f"{name}.py")), *shlex.split(arguments))


@task(
    help={
        "host": "the server",
        "users": "who ask at the same time",
        "seconds": "for how long",
        "rows": "a CSV file of what they ask",
        "page": "steer it in a browser, at http://localhost:8089",
    }
)
def load_test(context, host="http://localhost:8000", users=50, seconds=60, rows="data/raw/inbox.csv", page=False):
    """Let many people use a running server; the report, with plots, goes to reports/load/."""
    folder = Path("reports", "load")
    folder.mkdir(parents=True, exist_ok=True)
    words = ["--locustfile", str(Path("benchmarks", "locustfile.py")), f"--host={host}", f"--rows={rows}"]
    if not page:
        rate = max(1, users // 5)  # all of them within five seconds
        words += ["--headless", f"--users={users}", f"--spawn-rate={rate}", f"--run-time={seconds}s", "--only-summary"]
        words += [f"--html={folder / 'report.html'}", f"--csv={folder / 'report'}"]
    _module(context, "locust", *words)


@task(help={"name": "one word of small letters and digits"})
def adopt(context, name):
    """Make this clone of the template a project of your own, called NAME everywhere (docs/how-to/adopt.md)."""
    _module(context, "boatyard.template", "adopt", name)


@task(
    help={
        "source": "the template's repository; by default where it was last taken from",
        "ref": "a branch or tag of it",
    }
)
def update_template(context, source="", ref=""):
    """Merge what is new in the template into your project, under its name."""
    _module(context, "boatyard.template", "update", *([source] if source else []), *([f"--ref={ref}"] if ref else []))


@task
def clean(context):
    """Remove prepared data, runs and reports; what is published stays."""
    parts = ("data", "drift", "evaluation", "load", "profile", "staging", "sweeps")
    for folder in ("data/processed", "runs", *(f"reports/{part}" for part in parts)):
        if Path(folder).exists():
            print(f"removing {folder}")
            shutil.rmtree(folder)


cloud = Collection("cloud")


def _cloud(**options):
    """A task of `invoke cloud.NAME`, by the name of the function without `cloud_`."""

    def add(function):
        cloud.add_task(task(**options)(function), name=function.__name__.removeprefix("cloud_"))

    return add


def _on_cloud(context: Context, command: str, *words: str) -> None:
    _module(context, "boatyard.cloud", command, *words)


_SERVICE = "which one: api, monitor or frontend"
_JOB = {
    "machine": "such as n1-standard-8",
    "gpu": "t4, l4, v100, a100, a100-80gb or h100",
    "spot": "cheaper, and may be taken away at any time",
    "workers": "machines that train together",
    "detach": "do not wait for the end",
    "dry_run": "print the request instead",
}


@_cloud(iterable=["override"], help=_JOB | _OVERRIDES)
def cloud_train(context, override, machine="", gpu="", spot=False, workers=0, detach=False, dry_run=False):
    """Train on Vertex AI, and follow the job to its end."""
    chosen = {"machine": machine, "gpu": gpu, "spot": "true" if spot else "", "workers": workers or ""}
    keys = [f"cloud.train.{key}={value}" for key, value in chosen.items() if value]
    flags = [flag for flag, given in (("--detach", detach), ("--dry-run", dry_run)) if given]
    _on_cloud(context, "train", *flags, *keys, *override)


@_cloud()
def cloud_jobs(context):
    """List the training jobs."""
    _on_cloud(context, "jobs")


@_cloud()
def cloud_cancel(context, job):
    """Cancel a training job."""
    _on_cloud(context, "cancel", job)


@_cloud(
    iterable=["override"],
    help={"service": _SERVICE, "dry_run": "print what would be deployed instead", **_OVERRIDES},
)
def cloud_deploy(context, override, service="api", dry_run=False):
    """Deploy to Cloud Run: traffic moves once the new revision has answered."""
    _on_cloud(context, "deploy", f"--service={service}", *(["--dry-run"] if dry_run else []), *override)


@_cloud()
def cloud_status(context):
    """Show each service, its revisions and their traffic."""
    _on_cloud(context, "status")


@_cloud(help={"service": _SERVICE})
def cloud_logs(context, service="api"):
    """Print what a service has logged lately."""
    _on_cloud(context, "logs", f"--service={service}")


@_cloud(help={"service": _SERVICE})
def cloud_rollback(context, service="api"):
    """Send a service's traffic to the revision before."""
    _on_cloud(context, "rollback", f"--service={service}")


@_cloud(help={"yes": "really"})
def cloud_destroy(context, yes=False):
    """Delete the services; what is stored stays."""
    _on_cloud(context, "destroy", *(["--yes"] if yes else []))


@_cloud(iterable=["override"], help=_OVERRIDES)
def cloud_doctor(context, override):
    """Check what the cloud commands need, and change nothing."""
    _on_cloud(context, "doctor", *override)


namespace = Collection.from_module(sys.modules[__name__])
namespace.add_collection(cloud)
