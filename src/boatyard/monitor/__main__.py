"""`python -m boatyard.monitor` looks once, as a scheduled job; `python -m boatyard.monitor serve` serves HTTP."""

import argparse
import sys
from collections.abc import Sequence

from boatyard.config.addresses import check_port, reach_this_machine_directly
from boatyard.config.console import log_plainly, refuse, say
from boatyard.config.errors import UserError
from boatyard.config.logs import log_as_json
from boatyard.monitor.settings import Settings
from boatyard.storage import open_storage

DRIFT = 3  # the exit status

_HELP = """BOATYARD_MODEL says which model is watched, BOATYARD_STORAGE where its journal lies.

Exit status of one look: 0 no alarm, though this one look may be suspicious; 3 drift: the alarm is raised;
2 the input is wrong, and standard error says how to correct it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m boatyard.monitor", epilog=_HELP, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", nargs="?", choices=["serve"], help="listen on PORT instead of looking once")
    parser.add_argument(
        "--reports",
        default="reports/drift",
        metavar="FOLDER",
        help="for NAME.html and NAME.json, or gs://BUCKET/PREFIX (default: %(default)s)",
    )
    options = parser.parse_args(arguments)
    reach_this_machine_directly()
    try:
        settings = Settings.from_environment()
        if options.command == "serve":
            from boatyard.monitor.service import serve

            check_port(settings.host, settings.port)
            log_as_json()
            return serve(settings)
        return _look(settings, options.reports)
    except (UserError, OSError) as error:
        return refuse("boatyard.monitor", error)


def _look(settings: Settings, folder: str) -> int:
    from boatyard.monitor.run import Monitor

    log_plainly()
    reports = open_storage(folder)
    findings, page = Monitor(settings, days=settings.hours / 24).run()
    reports.write(f"{findings.model}.html", page.encode())
    reports.write(f"{findings.model}.json", findings.as_json())
    for verdict in findings.verdicts:
        say(f"{verdict.state:10} {verdict.name:22} {verdict.sentence}")
    say(f"{findings.model}@{findings.version}: {findings.conclusion}; {folder}/{findings.model}.html")
    return DRIFT if findings.alarm else 0


if __name__ == "__main__":
    sys.exit(main())
