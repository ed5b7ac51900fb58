"""What a project says of itself: its README, licence, description and default system."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from boatyard.template import TEMPLATE
from boatyard.template.making.answers import Answers
from boatyard.template.making.names import Spelling
from boatyard.template.making.parts import MANIFEST, Manifest

_TEXTS = MANIFEST.parent / "texts"  # README.md, docs/index.md, and the licences besides the template's
_TEMPLATES_LICENSE = "LICENSE.template"
_SAID = ("description", "author")
_VEIL = "\ue000{}\ue001"  # of private characters, which no answer has
_TORCH_CPU = """
[[tool.uv.index]] # torch without CUDA, which on Linux is most of what the other one weighs
name = "pytorch-cpu"
url = "https://download.pytorch.org/whl/cpu"
explicit = true
"""


def veil(answers: Answers) -> Answers:
    """The answers as pruning and renaming may see them: under the template's name, and with no word of the user's."""
    veils: dict[str, Any] = {key: _VEIL.format(key) for key in _SAID if getattr(answers, key)}
    return replace(answers, name=TEMPLATE, **veils)


def unveil(path: str, text: str, answers: Answers) -> str:
    """The text of a file of the project, with the user's own words in their places."""
    told = {key: getattr(answers, key) for key in _SAID} | {"holder": f"The {Spelling(answers.name).title} authors"}
    for key, said in told.items():
        is_prose = path.endswith(".md") or path.startswith("LICENSE")
        text = text.replace(_VEIL.format(key), said if is_prose else json.dumps(said, ensure_ascii=False)[1:-1])
    return text


def tell(copy: Path, answers: Answers) -> None:
    """Write what the answers decide in files that are there already."""
    _description(copy, answers)
    _python(copy, answers.python)
    if answers.torch == "cpu":
        _torch_cpu(copy)
    (copy / "CHANGELOG.md").rename(copy / "TEMPLATE-CHANGES.md")


def write_first_pages(copy: Path, manifest: Manifest, answers: Answers) -> None:
    """What the project is: README.md, docs/index.md and LICENSE, in place of the template's."""
    _license(copy, answers)
    kept = [name for name, each in manifest.systems.items() if not {each.input, each.task} & {*answers.without}]
    rows = [
        f"| `{name}` | {each.input} | {each.task} | {each.about} | `uv run invoke pipeline -o data={name}` |"
        for name, each in manifest.systems.items()
        if name in kept
    ]
    pairs = {
        "title": Spelling(answers.name).title,
        "description": answers.description,
        "systems": "\n".join(rows),
        "default": manifest.default_system(answers.without),
        "variable": Spelling(answers.name).package.upper(),
        "license": _license_sentence(answers),
    }
    for source, page in (("README.md", "README.md"), ("index.md", "docs/index.md")):
        text = (copy / _TEXTS / source).read_text(encoding="utf-8")
        (copy / page).write_text(re.sub(r"\$(\w+)\$", lambda match: pairs[match[1]], text), encoding="utf-8")


def _license_sentence(answers: Answers) -> str:
    if answers.license == "Apache-2.0":
        return "[Apache-2.0](LICENSE)."
    own = "Proprietary" if answers.license == "proprietary" else answers.license
    return (
        f"{own} ([LICENSE](LICENSE)). It began as a template under Apache-2.0 ([{_TEMPLATES_LICENSE}]"
        f"({_TEMPLATES_LICENSE})), and was changed since."
    )


def _license(copy: Path, answers: Answers) -> None:
    file, holder = copy / "LICENSE", answers.author or _VEIL.format("holder")
    if answers.license == "Apache-2.0":  # whose notice stays, and has the project's beside it
        notice = re.compile(r"^( *Copyright \d{4} .*\n)", re.MULTILINE)
        text = notice.sub(lambda match: f"{match[1]}   Copyright {answers.year} {holder}\n", file.read_text(), count=1)
    else:
        file.rename(copy / _TEMPLATES_LICENSE)
        text = (copy / _TEXTS / f"{answers.license}.txt").read_text(encoding="utf-8")
        text = text.replace("$year$", str(answers.year)).replace("$holder$", holder)
    file.write_text(text, encoding="utf-8")


def _description(copy: Path, answers: Answers) -> None:
    said = json.dumps(answers.description, ensure_ascii=False)
    spdx = "LicenseRef-Proprietary" if answers.license == "proprietary" else answers.license
    authors = f"authors = [{{ name = {json.dumps(answers.author, ensure_ascii=False)} }}]\n" if answers.author else ""
    _sub(copy / "pyproject.toml", r'^description = ".*"$', f"description = {said}")
    _sub(
        copy / "pyproject.toml",
        r'^license = ".*"\nlicense-files = .*\n',
        f'license = "{spdx}"\nlicense-files = ["LICENSE*"]\n{authors}',
    )
    _sub(copy / "mkdocs.yml", r"^site_description: .*$", f"site_description: {said}")


def _python(copy: Path, version: str) -> None:
    (copy / ".python-version").write_text(f"{version}\n", encoding="utf-8")
    for workflow in (copy / ".github" / "workflows").glob("*.yml"):
        _sub(workflow, r'python-version: "3\.\d+"', f'python-version: "{version}"')
    _sub(copy / ".devcontainer" / "devcontainer.json", r"\bpython:3\.\d+-", f"python:{version}-")


def choose_default(copy: Path, manifest: Manifest, without: Sequence[str]) -> None:
    """Name the first system that is left wherever the first of all is the default."""
    first, default = next(iter(manifest.systems)), manifest.default_system(without)
    if default == first:
        return
    old, new = manifest.systems[first], manifest.systems[default]
    for place in manifest.defaults:
        text = place.get(default) or place["text"].replace(first, default).replace(old.model, new.model)
        for file in sorted(copy.glob(place["path"])):
            file.write_text(file.read_text(encoding="utf-8").replace(place["text"], text), encoding="utf-8")
    _sub(copy / "configs" / "config.yaml", rf"^  input: {old.input}\b", f"  input: {new.input}")
    _sub(copy / "configs" / "config.yaml", rf"^  task: {old.task}\b", f"  task: {new.task}")
    (copy / "params.yaml").unlink(missing_ok=True)  # `invoke repro` composes it


def _torch_cpu(copy: Path) -> None:
    """As uv's guide to PyTorch has it; macOS has no other build, and the index gives no dates that uv could go by."""
    project = copy / "pyproject.toml"
    _sub(project, r"^exclude-newer = .*$", lambda line: f"{line}\nexclude-newer-package = {{ torch = false }}")
    linux = "sys_platform == 'linux' or sys_platform == 'win32'"
    _sub(
        project,
        r"^\[tool\.uv\.sources\]$",
        lambda line: f'{line}\ntorch = [{{ index = "pytorch-cpu", marker = "{linux}" }}]',
    )
    _sub(project, r"^\[tool\.uv\.workspace\]$", lambda line: f"{_TORCH_CPU.lstrip()}\n{line}")


def _sub(file: Path, pattern: str, new: "str | Callable[[str], str]") -> None:
    if file.exists():
        text = file.read_text(encoding="utf-8")
        made = re.sub(pattern, lambda match: new if isinstance(new, str) else new(match[0]), text, flags=re.MULTILINE)
        file.write_text(made, encoding="utf-8")
