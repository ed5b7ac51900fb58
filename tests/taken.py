"""python tests/taken.py: add what the project installs to taken.txt, the names that no project may have.

They are those of all packages, and what Python imports them as. Run it where all extras and groups are installed.
"""

import re
import textwrap
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from itertools import chain

from checkout import ROOT
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from boatyard.template.making.names import LONGEST, TAKEN


def asked_for() -> list[Requirement]:
    """What pyproject.toml names, in any extra or group, but itself."""
    told = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    lists = [*told["project"]["optional-dependencies"].values(), *told["dependency-groups"].values()]
    named = [Requirement(each) for each in [*told["project"]["dependencies"], *chain(*lists)] if isinstance(each, str)]
    return [each for each in named if each.name != told["project"]["name"]]


def installed() -> Iterator[str]:
    """All packages that these bring, and what Python imports them as."""
    left, seen = asked_for(), set[str]()
    while left:
        each = left.pop()
        if str(each) in seen:
            continue
        seen.add(str(each))
        yield canonicalize_name(each.name)
        with suppress(PackageNotFoundError):
            needs = [Requirement(text) for text in distribution(each.name).requires or ()]
            extras = [{"extra": extra} for extra in (*each.extras, "")]
            left += [need for need in needs if not need.marker or any(map(need.marker.evaluate, extras))]
    known = {canonicalize_name(Requirement(each).name) for each in seen}
    for module, owners in packages_distributions().items():
        if known.intersection(map(canonicalize_name, owners)):
            yield module.lower().replace("_", "-")


def could_be_a_name(name: str) -> bool:
    """As far as its letters go."""
    return bool(re.fullmatch(r"[a-z](-?[a-z0-9])+", name)) and len(name) <= LONGEST


def main() -> None:
    found = {*filter(could_be_a_name, installed())}
    names = sorted(found.union(TAKEN.read_text(encoding="utf-8").split()))  # some are of other systems
    TAKEN.write_text(textwrap.fill(" ".join(names), 118, break_on_hyphens=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
