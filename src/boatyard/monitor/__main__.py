"""`python -m boatyard.monitor` looks once, as a scheduled job; `python -m boatyard.monitor serve` answers over HTTP."""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from boatyard.errors import UserError
from boatyard.logs import log_as_json
from boatyard.monitor.settings import Settings
from boatyard.storage import write_atomically

DRIFT = 3  # the exit status

_HELP = """BOATYARD_MODEL says which model is watched, BOATYARD_STORAGE where its journal lies.

Exit status of one look: 0 no drift; 3 drift; 2 the input is wrong, and standard error says how to mend it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m boatyard.monitor", epilog=_HELP, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", nargs="?", choices=["serve"], help="listen on PORT instead of looking once")
    parser.add_argument(
        "--reports", default="reports/drift", type=Path, metavar="FOLDER", help="for NAME.html and NAME.json"
    )
    given = parser.parse_args(arguments)
    try:
        settings = Settings.from_environment()
        if given.command == "serve":
            from boatyard.monitor.service import serve

            log_as_json()
            return serve(settings)
        return _look(settings, given.reports)
    except (UserError, OSError) as wrong:
        print(f"boatyard.monitor: {wrong}", file=sys.stderr)  # noqa: T201
        return 2


def _look(settings: Settings, reports: Path) -> int:
    from boatyard.monitor.run import Monitor

    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("boatyard").setLevel(logging.INFO)
    with TemporaryDirectory(prefix="boatyard-monitor-") as cache:
        findings, page = Monitor(settings, Path(cache), days=settings.hours / 24).run()
    reports.mkdir(parents=True, exist_ok=True)
    shown = reports / f"{findings.model}.html"
    write_atomically(shown, page.encode())
    write_atomically(shown.with_suffix(".json"), findings.as_json())
    for verdict in findings.verdicts:
        print(f"{'DRIFT ' if verdict.drifted else '      '}{verdict.name:22} {verdict.sentence}")  # noqa: T201
    print(f"{findings.model}@{findings.version}: {'drift' if findings.alarm else 'no drift'}; {shown}")  # noqa: T201
    return DRIFT if findings.alarm else 0


if __name__ == "__main__":
    sys.exit(main())
