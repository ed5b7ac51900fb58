"""python -m boatyard.cloud COMMAND [OPTIONS] [KEY=VALUE ...]: train and serve on Google Cloud."""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from boatyard.cloud.place import SERVICES
from boatyard.config.cli import run
from boatyard.config.schema import Config

_MODULES = {
    "train": "cloud.vertex",
    "score": "cloud.score",  # part: scale
    "jobs": "cloud.vertex",
    "cancel": "cloud.vertex",
    "doctor": "doctor.cloud",
    "setup": "cloud.setup",
    "destroy": "cloud.destroy",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; all take Hydra overrides, such as cloud.project=PROJECT."""
    parser = argparse.ArgumentParser(prog="python -m boatyard.cloud", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)

    def command(name: str, purpose: str) -> argparse.ArgumentParser:
        subparser = commands.add_parser(name, help=purpose, description=purpose)
        subparser.set_defaults(purpose=purpose)
        return subparser

    command("train", "submit a training job to Vertex AI, and follow it until it ends")
    command("score", "submit a job that answers files to Vertex AI, and follow it until it ends")  # part: scale
    jobs = [*commands.choices]
    for subparser in commands.choices.values():
        subparser.add_argument("--dry-run", action="store_true", help="print the request instead")
        subparser.add_argument("--detach", action="store_true", help="do not follow it")
    command("jobs", "list the training jobs")
    command("cancel", "cancel a training job").add_argument("job")
    deploy = command("deploy", "deploy a service to Cloud Run: a revision gets no traffic before it has answered")
    deploy.add_argument("--dry-run", action="store_true", help="print what would be deployed instead")
    deploy.add_argument(
        "--wait", type=float, default=0.0, metavar="MINUTES", help="for this commit's image to be built"
    )
    command("status", "show each service, its revisions and their traffic")
    logs = command("logs", "print the newest log entries of a service")
    rollback = command("rollback", "send a service's traffic to the revision before")
    for subparser in (deploy, logs, rollback):
        every = ["all"] if subparser is deploy else []
        subparser.add_argument("--service", choices=[*SERVICES, *every], default=SERVICES[0])
    destroy = command("destroy", "show what set-up and deployments made, and delete it")
    destroy.add_argument("--data", action="store_true", help="the bucket's content too: models, rows, the journal")
    setup = command("setup", "show what exists and what is missing, and make it; it may run again")
    for subparser in (destroy, setup):
        subparser.add_argument("--yes", action="store_true", help="do not ask")
    setup.add_argument("--print", action="store_true", dest="script", help="a script for gcloud instead")
    setup.add_argument(
        "--user", default="", metavar="ADDRESS", help="who types the commands (default: gcloud's account)"
    )
    setup.add_argument("--billing", default="", metavar="NUMBER", help="of the billing account that is to pay")
    setup.add_argument(
        "--budget", type=int, metavar="AMOUNT", help="a month, in its currency; 0: none (default: as it is, or 50)"
    )
    setup.add_argument("--github", default="", metavar="NUMBER", help="of the repository whose workflows get in")
    setup.add_argument("--email", default="", metavar="ADDRESS", help="of who gets the alerts")
    command("doctor", "check what the cloud commands need, and change nothing")
    for subparser in commands.choices.values():
        subparser.add_argument("overrides", nargs="*", metavar="KEY=VALUE")
    options = vars(parser.parse_args(arguments))
    name, purpose, overrides = (options.pop(key) for key in ("command", "purpose", "overrides"))

    def job(config: Config) -> None:
        module = import_module(f"boatyard.{_MODULES.get(name, 'cloud.run')}")  # loaded only when needed
        getattr(module, name)(config, **options, **({"overrides": overrides} if name in jobs else {}))

    return run(f"cloud {name}", purpose, job, overrides)


if __name__ == "__main__":
    sys.exit(main())
