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
    "inputs": {{ cookiecutter.inputs | tojson }},
    "tasks": {{ cookiecutter.tasks | tojson }},
    "without": {{ cookiecutter.without | tojson }},
}


def git(*words: str) -> str:
    """What git says of the clone."""
    return subprocess.run(["git", *words], cwd=CLONE, capture_output=True, text=True, check=True).stdout.strip()


folder = Path.cwd()
(folder / ".gitkeep").unlink()
flags = [f"--{name}={answer}" for name, answer in ANSWERS.items() if answer]
origin = git("config", "--get", "--default=", "remote.origin.url")
is_there = origin and git("branch", "--remotes", "--contains=HEAD")  # else only this clone has the commit
source = [f"--template={origin if is_there else CLONE}", f"--ref={git('rev-parse', 'HEAD')}"]
command = ["uv", "tool", "run", "--quiet", f"--from={CLONE}", "boatyard", "new", folder.name, "--yes", *source, *flags]
os.chdir(folder.parent)
sys.exit(subprocess.run(command).returncode)
