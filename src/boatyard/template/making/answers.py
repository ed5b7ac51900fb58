"""What a project was made with: asked, or taken from flags, and kept in the project for later updates."""

import json
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import TypeVar

from boatyard.config.console import complain
from boatyard.config.errors import UserError
from boatyard.template.engine import ANSWERS

LICENSES = ("Apache-2.0", "MIT", "BSD-3-Clause", "proprietary")
PYTHONS = ("3.11", "3.12", "3.13")
TORCH = ("cuda", "cpu")
_HEAD = "# What this project was made with: `uv run invoke update-template` leaves out the same parts again.\n"

Checked = TypeVar("Checked")


@dataclass(frozen=True)
class Answers:
    """What `new` asks."""

    name: str
    description: str = "From rows of data to a watched model in production."
    author: str = ""
    license: str = "Apache-2.0"
    python: str = "3.12"
    torch: str = "cuda"
    """`cuda` takes what the package registry has, which is without it but on Linux; `cpu` adds PyTorch's own index."""
    without: Sequence[str] = field(default_factory=tuple)
    """The parts that are left out."""
    year: int = 0
    """Of the copyright."""

    def check(self) -> "Answers":
        """Raises UserError: an answer is none of those that there can be."""
        for key in ("name", "description", "author", "license", "python", "torch"):
            if not isinstance(getattr(self, key), str):
                raise UserError(f"{key}: must be text, in quotes")
        if type(self.year) is not int:
            raise UserError("year: must be a whole number")
        if isinstance(self.without, str) or not all(isinstance(part, str) for part in self.without):
            raise UserError('without: must be a list of parts, such as ["cloud"]')
        for key, known in (("license", LICENSES), ("python", PYTHONS), ("torch", TORCH)):
            if getattr(self, key) not in known:
                raise UserError(f"{key}: {getattr(self, key)!r} is none of {', '.join(known)}")
        for key in ("description", "author"):
            if not getattr(self, key).isprintable():
                raise UserError(f"{key}: must be one line")
        return self


def read_answers(text: str) -> Answers:
    """Those of a project. Raises UserError."""
    try:
        told = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{ANSWERS}: {error}") from None
    if unknown := told.keys() - {each.name for each in fields(Answers)}:
        raise UserError(f"{ANSWERS}: unknown key {sorted(unknown)[0]}")
    if "name" not in told:
        raise UserError(f"{ANSWERS}: name must be given")
    try:
        return Answers(**told).check()
    except UserError as error:
        raise UserError(f"{ANSWERS}: {error}") from None


def write_answers(answers: Answers) -> str:
    """As TOML, whose strings and lists of strings are JSON's."""
    return _HEAD + "".join(
        f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in asdict(answers).items()
    )


def ask(question: str, default: str, check: Callable[[str], Checked]) -> Checked:
    """Ask at the terminal until the check takes the answer, and return what it makes of it; empty is the default."""
    shown = f"{question} [{default}]: " if default else f"{question}: "
    while True:
        try:
            return check(input(shown).strip() or default)
        except UserError as error:
            complain(str(error))
