"""Which checks of Google Cloud run when: all for the doctor, some before a training job or a deployment."""

import logging
import time
from collections.abc import Sequence

from requests.adapters import HTTPAdapter

from boatyard.cloud.access import Cloud, training_secrets
from boatyard.cloud.place import ROLES, SERVICES, Place, place
from boatyard.cloud.rest import open_session
from boatyard.config.schema import Config
from boatyard.doctor import google, resources
from boatyard.doctor.checks import Check, Result, refuse_wrong, report, run_checks

_PAUSE = 15.0  # seconds between looks for an image
_SECONDS = 8.0  # for each of two rounds: most checks need the credentials that the first one verifies

log = logging.getLogger(__name__)


def doctor(config: Config) -> None:
    """Print the table of results.

    Raises:
        UserError: no project or bucket is named.
        Failed: something is wrong.
    """
    report(examine(config))


def examine(config: Config) -> list[Result]:
    """Run all checks; only the first two without credentials. Raises UserError, as `doctor`."""
    where = place(config)
    results = run_checks((google.gcloud, google.credentials), config, _SECONDS)
    if results[-1].state == "wrong":
        return results
    checks = (
        *(google.project, google.billing, google.apis, google.caller, resources.bucket),
        *map(google.account, ROLES),
        resources.repository,
        *map(resources.image, ("trainer", *SERVICES)),
        resources.gpu_quota,
        resources.cpu_quota,
        *_secrets(config),
        resources.secret(where.keys_secret, required=False),
    )
    return [*results, *run_checks(checks, _connect(config, where), _SECONDS)]


def check_before_training(config: Config) -> None:
    """Raises UserError for the first requirement of a training job that is not met, with its fix."""
    checks = (google.billing, google.apis, resources.bucket, google.account("train"), resources.image("trainer"))
    _require(config, (*checks, resources.gpu_quota, resources.cpu_quota, *_secrets(config)))


def check_before_deploying(config: Config, service: str) -> None:
    """Raises UserError for the first requirement of a service that is not met, with its fix."""
    checks = (google.billing, google.apis, resources.bucket, google.account("run"), resources.image(service))
    _require(config, (*checks, resources.secret(place(config).keys_secret, required=False)))


def await_build(config: Config, service: str, minutes: float) -> None:
    """Return once the image of this commit exists, or after so many minutes."""
    check, cloud = resources.image(service), _connect(config, place(config))
    deadline = time.monotonic() + minutes * 60
    while time.monotonic() < deadline and run_checks([check], cloud, _SECONDS)[0].state == "wrong":
        log.info("waiting for the image %s of this commit", service)
        time.sleep(_PAUSE)


def _require(config: Config, checks: Sequence[Check[Cloud]]) -> None:
    refuse_wrong(run_checks(checks, _connect(config, place(config)), _SECONDS))


def _connect(config: Config, where: Place) -> Cloud:
    session = open_session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(pool_maxsize=32))  # for the concurrent checks
    return Cloud(config, where, session)


def _secrets(config: Config) -> list[Check[Cloud]]:
    return [resources.secret(name) for name in training_secrets(config)]
