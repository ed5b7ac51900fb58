"""A configuration to a report on its training's speed."""

import logging
from pathlib import Path

from rich.table import Table

from boatyard.config.console import terminal
from boatyard.config.errors import UserError
from boatyard.config.processes import several
from boatyard.config.schema import Config
from boatyard.data.encode import Encoded
from boatyard.data.prepare import Prepared
from boatyard.model import open_learner
from boatyard.storage.folders import replacing
from boatyard.train.profile.measure import Profile, measure
from boatyard.train.profile.report import TRACE, bottleneck, parts_rows, throughput, write_report

log = logging.getLogger(__name__)


def profile(config: Config, prepared: Prepared, encoded: Encoded) -> Profile:
    """Measure, write the report and print it.

    Raises:
        UserError: torchrun started several processes.
    """
    if several():
        raise UserError("a profile is of one process: run it without torchrun")
    if open_learner(config, encoded) is not None:
        raise UserError("this model is fitted at once: there are no steps to profile")
    folder = Path(config.paths.reports, "profile", config.data.name)
    with replacing(folder) as staging:
        measured = measure(config, prepared, encoded, staging / TRACE)
        write_report(staging, f"{config.data.name}: a training step", measured)
    _show(measured)
    log.info("profile: report and trace in %s", folder)
    return measured


def _show(measured: Profile) -> None:
    table = Table("part of a step")
    table.add_column("ms", justify="right")
    table.add_column("share", justify="right")
    for row in parts_rows(measured):
        table.add_row(*row)
    console = terminal()
    console.print(table)
    console.print(f"On {measured.device}: {throughput(measured)}", soft_wrap=True)
    console.print(bottleneck(measured), soft_wrap=True)
