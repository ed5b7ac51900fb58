"""Cookiecutter made an empty folder: `boatyard new` of the same clone makes the project in it.

Where `new` refuses something, its sentence comes first; a traceback of Cookiecutter's own follows, as after any hook
that fails.
"""

import os
import subprocess
import sys
from pathlib import Path

CLONE = Path.cwd().parent.joinpath({{ cookiecutter._repo_dir | tojson }}).parent.resolve()  # may be relative
ANSWERS = {
    "description": {{ cookiecutter.description | tojson }},
    "author": {{ cookiecutter.author | tojson }},
    "license": {{ cookiecutter.license | tojson }},
    "python": {{ cookiecutter.python | tojson }},
    "torch": {{ cookiecutter.torch | tojson }},
    "without": {{ cookiecutter.without | tojson }},
}

folder = Path.cwd()
(folder / ".gitkeep").unlink()
flags = [f"--{name}={answer}" for name, answer in ANSWERS.items() if answer]
origin = subprocess.run(["git", "remote", "get-url", "origin"], cwd=CLONE, capture_output=True, text=True).stdout.strip()
state = subprocess.run(["git", "rev-parse", "HEAD"], cwd=CLONE, capture_output=True, text=True, check=True).stdout.strip()
source = [f"--template={origin or CLONE}", f"--ref={state}"]
command = ["uv", "tool", "run", "--quiet", f"--from={CLONE}", "boatyard", "new", folder.name, "--yes", *source, *flags]
os.chdir(folder.parent)
sys.exit(subprocess.run(command).returncode)
