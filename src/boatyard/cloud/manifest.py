"""The manifest of a Cloud Run service, rendered from deploy/run/SERVICE.yaml."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from string import Template

import yaml

from boatyard.cloud.place import SERVICES, Place
from boatyard.cloud.run_api import RunApi
from boatyard.cloud.service import Object
from boatyard.config.errors import UserError
from boatyard.config.schema import Config
from boatyard.evaluate.markdown import one_line
from boatyard.registry import ROOT, Reference

_TEMPLATES = Path("deploy", "run")


def render(config: Config, where: Place, service: str, commit: str) -> Object:
    """The manifest of a service, without its traffic.

    Raises:
        UserError: the template is missing or invalid, or names a service that is not deployed yet.
    """
    file = _TEMPLATES / f"{service}.yaml"
    name = where.service(service)
    try:
        template = Template(file.read_text(encoding="utf-8"))
        text = template.substitute(
            _addresses(where, [other for other in SERVICES if other in template.get_identifiers()]),
            name=name,
            project=where.project,
            revision=f"{name}-{commit[:7]}-{datetime.now(UTC):%Y%m%d-%H%M%S}",
            commit=commit,
            account=where.account("run"),
            image=where.image(service, commit),
            storage=where.served_storage,
            model=f"{where.storage}/{ROOT}{served_model(config)}",
            keys=where.keys_secret,
        )
        manifest: Object = yaml.safe_load(text)
    except OSError:
        raise UserError(f"there is no {file} here: run this in the repository's root") from None
    except KeyError as error:
        raise UserError(f"{file}: unknown placeholder ${error.args[0]}") from None
    except (ValueError, yaml.YAMLError) as error:
        raise UserError(f"{file} is no YAML with placeholders: {one_line(str(error))}") from None
    return manifest


def served_model(config: Config) -> Reference:
    """The model that the services are about."""
    return Reference(config.data.name, config.cloud.environment)


def variables(manifest: Object) -> dict[str, str]:
    """The environment of its containers, as far as it is written in it."""
    containers = manifest["spec"]["template"]["spec"]["containers"]
    return {each["name"]: each["value"] for one in containers for each in one.get("env", []) if "value" in each}


def _addresses(where: Place, services: Sequence[str]) -> dict[str, str]:
    """The URL of each service. Raises UserError: one is not deployed yet."""
    if not services:  # then no credentials are needed
        return {}
    run = RunApi(where).connect()
    addresses = {}
    for service in services:
        name = where.service(service)
        if not (url := (run.find(name) or {}).get("status", {}).get("url")):
            raise UserError(f"{name} has no address yet: run `invoke cloud.deploy --service={service}` first")
        addresses[service] = str(url)
    return addresses
