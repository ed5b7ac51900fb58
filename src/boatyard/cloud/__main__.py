"""python -m boatyard.cloud COMMAND [OPTIONS] [KEY=VALUE ...]: Google Cloud, by REST."""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from boatyard.cloud.place import SERVICES
from boatyard.config.cli import run
from boatyard.config.schema import Config

_MODULES = {"train": "cloud.vertex", "jobs": "cloud.vertex", "cancel": "cloud.vertex", "doctor": "doctor.cloud"}


def main(arguments: Sequence[str] | None = None) -> int:
    """The command that was named; every one takes Hydra overrides, such as cloud.project=PROJECT."""
    parser = argparse.ArgumentParser(prog="python -m boatyard.cloud", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)

    def command(name: str, purpose: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=purpose, description=purpose)
        added.set_defaults(purpose=purpose)
        return added

    training = command("train", "submit a training job to Vertex AI, and follow it to its end")
    training.add_argument("--dry-run", action="store_true", help="print the request instead")
    training.add_argument("--detach", action="store_true", help="do not wait for its end")
    command("jobs", "list the training jobs")
    command("cancel", "cancel a training job").add_argument("job")
    deploying = command("deploy", "deploy a service to Cloud Run: no traffic before it has answered")
    deploying.add_argument("--dry-run", action="store_true", help="print what would be deployed instead")
    command("status", "show each service, its revisions and their traffic")
    reading = command("logs", "print what a service has logged lately")
    back = command("rollback", "send a service's traffic to the revision before")
    for one in (deploying, reading, back):
        one.add_argument("--service", choices=SERVICES, default=SERVICES[0])
    command("destroy", "delete the services").add_argument("--yes", action="store_true", help="really")
    command("doctor", "check what the cloud commands need, and change nothing")
    for added in commands.choices.values():
        added.add_argument("overrides", nargs="*", metavar="KEY=VALUE")
    given = vars(parser.parse_args(arguments))
    name, purpose, overrides = (given.pop(key) for key in ("command", "purpose", "overrides"))

    def job(config: Config) -> None:
        module = import_module(f"boatyard.{_MODULES.get(name, 'cloud.run')}")  # each loads what only it needs
        getattr(module, name)(config, **given, **({"overrides": overrides} if name == "train" else {}))

    return run(f"cloud {name}", purpose, job, overrides)


if __name__ == "__main__":
    sys.exit(main())
