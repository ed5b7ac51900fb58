"""The tasks of this repository: `uv run invoke --list`. Each runs a module of the package or one tool."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from invoke import Collection, Context, Exit, Program, task

from boatyard.config.processes import ending_signals

_OVERRIDES = {"override": "a Hydra override such as train.seed=1 or tracking=none; repeatable"}


def _run(context: Context, *words: str, **environment: str) -> None:
    """Run a command, forward signals to it, and exit with its status if it fails.

    The command does not replace this process (exec), because another task may follow, as in `invoke lint types`.
    """
    flags = context.config.run
    if flags.echo or flags.dry:  # invoke's own flags
        print(shlex.join(words), flush=True)
    if flags.dry:
        return
    pending: list[int] = []
    running: list[subprocess.Popen[bytes]] = []

    def forward(number: int, _: object) -> None:
        if not running:
            pending.append(number)
        elif number != signal.SIGINT or not _receives_ctrl_c():
            running[0].send_signal(number)

    before = {number: signal.signal(number, forward) for number in ending_signals()}
    try:
        running.append(subprocess.Popen(words, env={**os.environ, **environment}))
        for number in pending:
            running[0].send_signal(number)
        status = running[0].wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if status:
        raise Exit(code=status if status > 0 else 128 - status)


def _receives_ctrl_c() -> bool:
    """Whether the terminal sends Ctrl-C to the command itself: forwarded too, it would count twice."""
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
    """A program installed beside this Python, independently of PATH."""
    return str(Path(sys.executable).with_name(name))


@task(iterable=["override"], help=_OVERRIDES)
def pipeline(context, override):
    """Run all stages: prepare, train, evaluate, export, publish; then ask the model one question."""
    _module(context, "boatyard.pipeline", *override)


@task(iterable=["override"], help=_OVERRIDES)
def data(context, override):
    """Read, check, split and encode the rows; write the data report."""
    _module(context, "boatyard.data", *override)


@task(iterable=["override"], help={"resume": "resume a run that was stopped, the default", **_OVERRIDES})
def train(context, override, resume=False):
    """Train the network."""
    _module(context, "boatyard.train", *override, *(["train.resume=auto"] if resume else []))


@task(iterable=["override"], help=_OVERRIDES)
def profile(context, override):
    """Measure where the time of a training step goes."""
    _module(context, "boatyard.train.profile", *override)


@task(iterable=["override"], help={"name": "a file in configs/sweep", **_OVERRIDES})
def sweep(context, override, name="quick"):
    """Search for better settings on the validation split."""
    _module(context, "boatyard.pipeline.sweep", f"sweep={name}", *override)


@task(iterable=["override"], help=_OVERRIDES)
def evaluate(context, override):
    """Score the trained network and a simple baseline on test rows."""
    _module(context, "boatyard.evaluate", *override)


@task(iterable=["override"], help=_OVERRIDES)
def export(context, override):
    """Make the bundle that is served: ONNX, in int8 if that is as good."""
    _module(context, "boatyard.export", *override)


@task(iterable=["override"], help=_OVERRIDES)
def retrain(context, override):
    """Train on feedback from the journal too; promote the new model if it is better by more than chance."""
    _module(context, "boatyard.retrain", *override)


@task(
    iterable=["override"],
    help={"rows": "a file, or a folder of files", "out": "a folder of its own for the answers", **_OVERRIDES},
)
def score(context, override, rows="", out=""):
    """Score files of any size, on all cores or the Ray cluster at RAY_ADDRESS; write Parquet."""
    _module(context, "boatyard.score", *_scored(rows, out), *override)


def _scored(rows: str, out: str) -> list[str]:
    return [f"score.{key}={path}" for key, path in (("rows", rows), ("out", out)) if path]


@task(iterable=["override"], help=_OVERRIDES)
def repro(context, override):
    """Rerun the DVC stages whose inputs changed."""
    _module(context, "boatyard.config.params", *override)
    _module(context, "dvc", "repro")


@task
def push(context):
    """Copy the outputs of DVC stages to the remote."""
    _module(context, "dvc", "push")


@task
def pull(context):
    """Fetch the outputs of DVC stages from the remote."""
    missing = [] if Path("dvc.lock").exists() else ["--allow-missing"]  # before the first run there are only rows
    _module(context, "dvc", "pull", *missing)


@task
def models(context):
    """List the published versions, and the one that each alias points at."""
    _module(context, "boatyard.registry", "models")


_VERSIONED = {"name": "of the model", "version": "as `invoke models` lists it"}


@task(iterable=["override"], help={**_VERSIONED, **_OVERRIDES})
def stage(context, name, version, override):
    """Run a version's behaviour tests; compare its size, speed and score with production's."""
    _module(context, "boatyard.registry.staging", name, version, *override)


_MOVING = {
    "name": "of the model",
    "alias": "the alias to move",
    "expected": "move it only if it points at this version; none: only if it is new",
}


@task(help={**_VERSIONED, **_MOVING})
def promote(context, name, version, alias="production", expected=""):
    """Point an alias at a version."""
    _move(context, "promote", name, version, alias=alias, expected=expected)


@task(help=_MOVING)
def rollback(context, name, alias="production", expected=""):
    """Point an alias at the version that it pointed at before."""
    _move(context, "rollback", name, alias=alias, expected=expected)


def _move(context: Context, *words: str, alias: str, expected: str) -> None:
    _module(context, "boatyard.registry", *words, f"--alias={alias}", *([f"--expected={expected}"] if expected else []))


@task(help={"model": "NAME, NAME@ALIAS or NAME@VERSION", "port": "to listen on"})
def serve(context, model="", port=""):
    """Serve a model over HTTP; try it in a browser at /docs."""
    settings = {"BOATYARD_MODEL": model, "PORT": port}
    _module(context, "boatyard.api", **{name: value for name, value in settings.items() if value})


@task(help={"model": "NAME, NAME@ALIAS or NAME@VERSION", "port": "to listen on"})
def monitor(context, model="", port=""):
    """Serve the monitor of a model: the latest drift report at /drift, figures at /statistics."""
    settings = {"BOATYARD_MODEL": model, "PORT": port}
    _module(context, "boatyard.monitor", "serve", **{name: value for name, value in settings.items() if value})


@task(help={"model": "NAME, NAME@ALIAS or NAME@VERSION"})
def drift(context, model=""):
    """Compare the last day's traffic with the model's reference; exit status 3 on an alarm."""
    _module(context, "boatyard.monitor", **({"BOATYARD_MODEL": model} if model else {}))


@task(help={"port": "to listen on, 8501 by default"})
def frontend(context, port=""):
    """Serve the web page, in front of the other servers."""
    _module(context, "boatyard.frontend", **({"PORT": port} if port else {}))


@task
def stack(context):
    """Start all servers and, if it is installed, Prometheus; Ctrl-C stops them all."""
    _run(context, sys.executable, str(Path("deploy", "local", "stack.py")))


@task
def screenshots(context):
    """Take the pictures of the web page that the documentation shows, of the models that are published here."""
    _module(context, "pytest", "tests/browser/test_screenshots.py", "--screenshots=docs/images")


@task(
    help={
        "select": "only tests that match, as pytest's -k",
        "unit": "only those without servers and training",
        "images": "only those that build and run the images",
        "rest": "only those that `invoke test` leaves out",
        "all_": "everything, with coverage, as in continuous integration",
    }
)
def test(context, select="", unit=False, images=False, rest=False, all_=False):
    """Run the tests, in minutes; those marked slow only with --rest, --all or --select."""
    parts = ["cloud", "integration", "unit"]  # in this order no long test runs alone at the end
    others = ["images", "docs", "browser", "published"]
    chosen = ["-k", select] if select else []
    if unit:
        parts = ["unit"]
    elif images:
        parts = ["images"]
    elif rest:
        parts = [*others, *parts]
        chosen += ["-m", " or ".join(["slow", *others])]
    elif all_:
        parts = [*others, *parts]
        chosen += [] if select else ["--cov", "--cov-report=term"]
    elif not select:
        chosen += ["-m", "not slow"]
    folders = [f"tests/{part}" for part in parts]
    parallel = ["--numprocesses=2", "--no-loadscope-reorder"]  # most tests wait for a process to start
    _module(context, "pytest", *parallel, *folders, *chosen, OMP_NUM_THREADS="1")


@task(help={"check": "write nothing; fail if a file is out of date"})
def alerts(context, check=False):
    """Generate the alerting rules from deploy/alerts/alerts.yaml."""
    _module(context, "boatyard.monitor.alerts", *(["--check"] if check else []))


@task(help={"check": "write nothing; fail if the file is out of date"})
def infrastructure(context, check=False):
    """Generate the table of roles that deploy/infrastructure/ reads from the one that `cloud.doctor` checks."""
    _module(context, "boatyard.cloud.table", *(["--check"] if check else []))


@task(help={"serve": "serve it at http://localhost:8010, rebuilt after each change"})
def docs(context, serve=False):
    """Build the documentation into site/; a missing link or page is an error."""
    words = ["serve", "--dev-addr=localhost:8010"] if serve else ["build"]
    _module(context, "mkdocs", *words, "--strict", NO_MKDOCS_2_WARNING="1")


@task(iterable=["override"], help=_OVERRIDES)
def doctor(context, override):
    """Check what this machine needs, and change nothing."""
    _module(context, "boatyard.doctor", *override)


@task
def lint(context):
    """Check style and find likely mistakes, also in configuration and workflows."""
    _module(context, "ruff", "check")
    _module(context, "ruff", "format", "--check")
    _run(context, sys.executable, str(Path("deploy", "check.py")))
    _run(context, _tool("zizmor"), "--offline", "--quiet", ".github")
    _run(context, _tool("hadolint"), *map(str, sorted(Path("dockerfiles").iterdir())))
    lock(context, check=True)


@task(help={"check": "change nothing; fail if a file does not match pyproject.toml"})
def lock(context, check=False):
    """Pin the packages of the images, by hash, in requirements/."""
    _run(context, sys.executable, str(Path("requirements", "lock.py")), *(["--check"] if check else []))


@task(help={"name": "only this one of dockerfiles/"})
def images(context, name=""):
    """Build the images as boatyard-NAME:COMMIT and boatyard-NAME:latest; BASE_IMAGE sets their base."""
    from boatyard import __version__
    from boatyard.train.tracking import git_commit

    commit = git_commit() or "unknown"
    build_arguments = {"COMMIT": commit, "VERSION": __version__, "BASE_IMAGE": os.environ.get("BASE_IMAGE")}
    arguments = [f"--build-arg={key}={value}" for key, value in build_arguments.items() if value]
    for image in [name] if name else sorted(file.stem for file in Path("dockerfiles").iterdir()):
        tags = [f"--tag=boatyard-{image}:{tag}" for tag in (commit.replace("+", "-"), "latest")]
        file = f"--file=dockerfiles/{image}.dockerfile"
        _run(context, "docker", "build", "--network=host", *arguments, *tags, file, ".", DOCKER_BUILDKIT="1")


@task
def types(context):
    """Check types."""
    _module(context, "mypy")


@task(name="format")
def format_(context):
    """Fix the style."""
    _module(context, "ruff", "check", "--fix-only")
    _module(context, "ruff", "format")


@task(
    help={
        "name": "a file in benchmarks/, such as serve, train or inbox",
        "arguments": "for that file, which says what it takes",
    }
)
def bench(context, name, arguments=""):
    """Measure, and write the result to reports/benchmarks/."""
    _run(context, sys.executable, str(Path("benchmarks", f"{name}.py")), *shlex.split(arguments))


@task(
    help={
        "host": "the server",
        "users": "number of concurrent users",
        "seconds": "duration",
        "rows": "a CSV file with their inputs",
        "page": "control it in a browser, at http://localhost:8089",
    }
)
def load_test(context, host="http://localhost:8000", users=50, seconds=60, rows="data/raw/inbox.csv", page=False):
    """Load a running server with many users; the report, with plots, goes to reports/load/."""
    folder = Path("reports", "load")
    folder.mkdir(parents=True, exist_ok=True)
    words = ["--locustfile", str(Path("benchmarks", "locustfile.py")), f"--host={host}", f"--rows={rows}"]
    if not page:
        rate = max(1, users // 5)  # all of them within five seconds
        words += ["--headless", f"--users={users}", f"--spawn-rate={rate}", f"--run-time={seconds}s", "--only-summary"]
        words += [f"--html={folder / 'report.html'}", f"--csv={folder / 'report'}"]
    _module(context, "locust", *words)


@task(help={"name": "as in fraud-watch", "flags": "as `new` has them, such as '--without=cloud,monitor'"})
def adopt(context, name, flags=""):
    """Turn this clone of the template into your own project, called NAME everywhere (docs/how-to/adopt.md)."""
    _module(context, "boatyard.template", "adopt", name, *shlex.split(flags))


@task(help={"choices": "what is left out, such as 'cloud monitor+frontend'; by default all parts in turn"})
def parts(context, choices=""):
    """Make projects without a part, and check their style, types, unit tests, site and pipeline."""
    _run(context, sys.executable, str(Path("tests", "parts.py")), *choices.split())


@task(
    help={
        "source": "the template's repository; by default that of the last update",
        "ref": "a branch or tag of it",
        "check": "change nothing; exit status 1 if there is something new, 2 if that cannot be told",
        "dry_run": "change nothing; list the files that would change",
    }
)
def update_template(context, source="", ref="", check=False, dry_run=False):
    """Merge the template's changes into your project, under its name."""
    words = [f"--{name}={value}" for name, value in (("source", source), ("ref", ref)) if value]
    words += [flag for flag, is_set in (("--check", check), ("--dry-run", dry_run)) if is_set]
    _module(context, "boatyard.template.update", *words)


@task
def clean(context):
    """Remove prepared data, runs and reports; published models stay."""
    parts = ("data", "drift", "evaluation", "load", "profile", "staging", "sweeps")
    for folder in ("data/processed", "runs", *(f"reports/{part}" for part in parts)):
        if Path(folder).exists():
            print(f"removing {folder}")
            shutil.rmtree(folder)


cloud = Collection("cloud")


def _cloud(**options):
    """A decorator: `cloud_NAME` becomes the task `cloud.NAME`."""

    def add(function):
        cloud.add_task(task(**options)(function), name=function.__name__.removeprefix("cloud_"))

    return add


def _on_cloud(context: Context, command: str, *words: str) -> None:
    _module(context, "boatyard.cloud", command, *words)


_SERVICE = " or ".join(sorted(file.stem for file in Path(__file__).parent.glob("deploy/run/*.yaml")))
_JOB = {
    "machine": "such as n1-standard-8",
    "gpu": "t4, l4, a100, a100-80gb or h100",
    "spot": "cheaper machines, which may be preempted at any time",
    "workers": "machines that train together",
    "detach": "do not follow the job",
    "dry_run": "print the request instead",
}


@_cloud(iterable=["override"], help=_JOB | _OVERRIDES)
def cloud_train(context, override, machine="", gpu="", spot=False, workers=0, detach=False, dry_run=False):
    """Train on Vertex AI, and follow the job until it ends."""
    settings = {"machine": machine, "gpu": gpu, "spot": "true" if spot else "", "workers": workers or ""}
    keys = [f"cloud.train.{key}={value}" for key, value in settings.items() if value]
    flags = [flag for flag, is_set in (("--detach", detach), ("--dry-run", dry_run)) if is_set]
    _on_cloud(context, "train", *flags, *keys, *override)


@_cloud(
    iterable=["override"],
    help={
        "rows": "in a bucket: a file, or a folder of files",
        "out": "a folder of its own in a bucket for the answers",
        **{name: purpose for name, purpose in _JOB.items() if name != "gpu"},
        "workers": "machines that score together",
        **_OVERRIDES,
    },
)
def cloud_score(context, override, rows="", out="", machine="", spot=False, workers=0, detach=False, dry_run=False):
    """Score files of any size on Vertex AI, on machines that form a Ray cluster."""
    settings = {"machine": machine, "spot": "true" if spot else "", "workers": workers or ""}
    keys = [f"cloud.score.{key}={value}" for key, value in settings.items() if value]
    flags = [flag for flag, is_set in (("--detach", detach), ("--dry-run", dry_run)) if is_set]
    _on_cloud(context, "score", *flags, *keys, *_scored(rows, out), *override)


@_cloud(iterable=["override"], help=_OVERRIDES)
def cloud_jobs(context, override):
    """List the training jobs."""
    _on_cloud(context, "jobs", *override)


@_cloud(iterable=["override"], help=_OVERRIDES)
def cloud_cancel(context, job, override):
    """Cancel a training job."""
    _on_cloud(context, "cancel", job, *override)


@_cloud(
    iterable=["override"],
    help={
        "service": f"{_SERVICE}; or all",
        "dry_run": "print what would be deployed instead",
        "wait": "minutes to wait for the image of this commit",
        **_OVERRIDES,
    },
)
def cloud_deploy(context, override, service="api", dry_run=False, wait=0):
    """Deploy to Cloud Run; traffic moves once the new revision has answered."""
    flags = [*(["--dry-run"] if dry_run else []), *([f"--wait={wait}"] if wait else [])]
    _on_cloud(context, "deploy", f"--service={service}", *flags, *override)


@_cloud(iterable=["override"], help=_OVERRIDES)
def cloud_status(context, override):
    """Show each service, its revisions and their traffic."""
    _on_cloud(context, "status", *override)


@_cloud(iterable=["override"], help={"service": _SERVICE, **_OVERRIDES})
def cloud_logs(context, override, service="api"):
    """Print the newest log entries of a service."""
    _on_cloud(context, "logs", f"--service={service}", *override)


@_cloud(iterable=["override"], help={"service": _SERVICE, **_OVERRIDES})
def cloud_rollback(context, override, service="api"):
    """Move a service's traffic back to the previous revision."""
    _on_cloud(context, "rollback", f"--service={service}", *override)


@_cloud(
    iterable=["override"],
    help={"yes": "do not ask", "data": "also the bucket with its models, rows and journal", **_OVERRIDES},
)
def cloud_destroy(context, override, yes=False, data=False):
    """Show what set-up and deployments have created in the project, and delete it."""
    _on_cloud(context, "destroy", *(["--yes"] if yes else []), *(["--data"] if data else []), *override)


@_cloud(
    iterable=["override"],
    help={
        "yes": "do not ask",
        "print_": "a script for gcloud instead",
        "user": "who will run the commands, by default gcloud's account",
        "billing": "the number of the billing account that is to pay",
        "budget": "a month, in the account's currency; 0: none; by default as it is, or 50",
        "github": "the number of the repository on GitHub whose workflows get access",
        "email": "who gets the alerts",
        **_OVERRIDES,
    },
)
def cloud_setup(context, override, yes=False, print_=False, user="", billing="", budget="", github="", email=""):
    """Show what the cloud commands need and the project lacks, and create it; safe to run again."""
    flags = [flag for flag, is_set in (("--yes", yes), ("--print", print_)) if is_set]
    values = {"user": user, "billing": billing, "github": github, "email": email, "budget": budget}
    words = [f"--{name}={value}" for name, value in values.items() if value != ""]
    _on_cloud(context, "setup", *flags, *words, *override)


@_cloud(iterable=["override"], help=_OVERRIDES)
def cloud_doctor(context, override):
    """Check what the cloud commands need, and change nothing."""
    _on_cloud(context, "doctor", *override)


namespace = Collection.from_module(sys.modules[__name__])
namespace.add_collection(cloud)  # part: cloud

_GROUPS = {
    "work": "pipeline data train evaluate export score sweep profile retrain bench",
    "serve": "models stage promote rollback serve load-test",
    "watch": "stack monitor drift frontend alerts",
    "cloud": " ".join(f"cloud.{name}" for name in cloud.task_names),  # part: cloud
}


def grouped():
    """The tasks' names by what a person wants to do; those that are in no other group maintain the repository."""
    groups = {
        group: [name for name in names.split() if name in namespace.task_names] for group, names in _GROUPS.items()
    }
    chosen = {name for names in groups.values() for name in names}
    return groups | {"maintain": sorted(set(namespace.task_names) - chosen)}


def _list_in_groups(program):
    for group, names in grouped().items():
        print(f"{group}\n")
        program.print_columns([(name, namespace[name].__doc__.strip().partition("\n")[0]) for name in names])


Program.list_flat = _list_in_groups  # invoke has no groups without other names for the tasks
