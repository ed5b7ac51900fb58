"""The template's own engine, run from a checkout of it.

Only the state of the template that is merged knows what its manifest means, and what each name in it stands for: the
project that takes it may be older. So the two share no more than a command, which stays as it is for projects of any
age: `render` in the checkout, with the project's answers on standard input, makes it the project, and prints as JSON
what the template renamed.
"""

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from boatyard.config.errors import Failed, UserError
from boatyard.template import TEMPLATE

ANSWERS = ".template.toml"
"""The file in which a project keeps them."""

_METADATA = f"Metadata-Version: 2.1\nName: {TEMPLATE}\nVersion: 0\n"


def kept_answers(root: Path) -> str:
    """Those of the project, as TOML; empty where it was made before there were any. Raises UserError."""
    try:
        return (root / ANSWERS).read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError:
        raise UserError(f"{ANSWERS}: is not UTF-8") from None


@dataclass(frozen=True)
class Rendered:
    """What the engine prints."""

    package: str
    renames: dict[str, str]
    """By its path before, the path of each file that the template has renamed."""


def render(copy: Path, answers: str, *flags: str) -> Rendered:
    """Make a checkout of the template the project of these answers, as TOML.

    Raises:
        UserError: An answer is wrong, or the template is older than this command.
        Failed: The engine broke.
    """
    with TemporaryDirectory(prefix="engine-") as folder:
        installed = Path(folder, f"{TEMPLATE}-0.dist-info")  # the package asks for its version
        installed.mkdir()
        (installed / "METADATA").write_text(_METADATA)
        environment = os.environ | {
            "PYTHONPATH": f"{copy / 'src'}{os.pathsep}{folder}",
            "PYTHONDONTWRITEBYTECODE": "1",  # it would become part of the project
            "PYTHONUTF8": "1",
        }
        command = [sys.executable, "-m", f"{TEMPLATE}.template", "render", *flags]
        done = subprocess.run(  # noqa: S603
            command, cwd=copy, env=environment, input=answers, capture_output=True, encoding="utf-8"
        )
    if done.returncode == 0:
        try:
            told = json.loads(done.stdout)
            return Rendered(told["package"], told["renames"])
        except (ValueError, KeyError):
            raise Failed("the template's own engine answered what this command does not know") from None
    said = done.stderr.strip() or f"exit status {done.returncode}"
    if said.startswith("render: "):
        raise (UserError if done.returncode == 2 else Failed)(said.removeprefix("render: "))
    if re.search(rf"invalid choice: 'render'|No module named '?{TEMPLATE}", said):
        raise UserError("this state of the template is older than this command: choose a newer one")
    raise Failed(f"the template's own engine broke: {said.splitlines()[-1]}")
