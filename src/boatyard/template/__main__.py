"""boatyard new NAME | python -m boatyard.template new NAME | adopt NAME."""

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

from boatyard.config.console import refuse, say
from boatyard.config.errors import Failed, UserError
from boatyard.template import PACKAGE, TEMPLATE
from boatyard.template.engine import ANSWERS
from boatyard.template.git import absolute, repository
from boatyard.template.making import project
from boatyard.template.making.answers import LICENSES, PYTHONS, TORCH, Answers, ask, read_answers
from boatyard.template.making.names import Spelling, check_name
from boatyard.template.making.parts import MANIFEST, Manifest, read_manifest
from boatyard.template.making.rendering import finish, make_project

_REPOSITORY = Path(__file__).parents[3]


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "render":
            message = _render(options)
        elif options.command == "adopt":
            message = project.adopt(repository(Path.cwd()), _answers(options))
        else:
            message = _new(options)
        say(message)
    except (Failed, OSError, UserError) as error:
        status = refuse(options.command, error)
        return status if options.command == "render" else 2  # the engine tells what broke from a wrong answer
    except (EOFError, KeyboardInterrupt):
        return refuse(options.command, UserError("nothing was made"))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=TEMPLATE, description="Make a project from the template.")
    commands = parser.add_subparsers(dest="command", required=True)
    making = commands.add_parser("new", help="make a project, in a repository of its own")
    adopting = commands.add_parser("adopt", help="make this clone of the template a project of your own")
    making.add_argument("--into", type=Path, help="add it to this repository instead, and change none of its files")
    making.add_argument(
        "--template", help="the template's repository; by default where this command was installed from"
    )
    making.add_argument("--ref", help="a commit, branch or tag of it")
    for each in (making, adopting):
        each.add_argument("name", nargs="?" if each is making else None, help="as in fraud-watch")
        each.add_argument("--yes", action="store_true", help="ask nothing: what no flag says is the default")
        each.add_argument("--description", help="one sentence")
        each.add_argument("--author", help="who holds the copyright; by default git's user.name")
        each.add_argument("--license", choices=LICENSES)
        each.add_argument("--python", choices=PYTHONS)
        each.add_argument("--torch", choices=TORCH, help="cpu: from PyTorch's own index, without CUDA")
        for flag, meaning in (
            ("--inputs", "those to keep, such as text,table; all by default"),
            ("--tasks", "those to keep, such as classification; all by default"),
            ("--without", "parts to leave out, such as cloud,monitor,frontend,benchmarks"),
        ):
            each.add_argument(flag, type=_names, action="extend", help=meaning)
    rendering = commands.add_parser(
        "render", help="make this checkout the project of the answers on standard input: `new` and updates run it"
    )
    rendering.add_argument("--new", action="store_true", help="refuse a name that is a word of the template")
    rendering.add_argument("--only-rename", metavar="NAME", help="leave out nothing, and read no answers")
    return parser


def _render(options: argparse.Namespace) -> str:
    """What `engine.render` reads."""
    copy = Path.cwd()
    manifest = read_manifest(copy / MANIFEST)
    if options.only_rename:
        spelling = Spelling(options.only_rename)
        finish(copy, spelling)
    else:
        told = sys.stdin.read()
        answers = read_answers(told)
        spelling = Spelling(answers.name)
        make_project(copy, manifest, answers, is_new=options.new)
        (copy / ANSWERS).write_text(told, encoding="utf-8")  # as the project spells them, so that none conflict
    renames = {spelling.replace_in(each["before"]): spelling.replace_in(each["after"]) for each in manifest.renames}
    return json.dumps({"package": spelling.package, "renames": renames})


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.replace(",", " ").split())


def _new(options: argparse.Namespace) -> str:
    root = _root(options.into) if options.into else None
    if root is None and options.name:  # before anything is asked
        project.refuse_folder(Path.cwd() / options.name)
    source, commit = (options.template, options.ref) if options.template else _origin()
    source, ref = absolute(source), options.ref or commit
    answers = _answers(options)
    if root is None:
        return project.new(Path.cwd() / answers.name, answers, source, ref)
    return project.add_to(root, answers, source, ref)


def _root(folder: Path) -> Path:
    """Of the repository to add to. Raises UserError: the folder is a part of one."""
    root = repository(folder)
    if root != folder.resolve():
        raise UserError(
            f"{folder} is a folder of the repository {root}, and a project is added to a repository's root: "
            f"--into {root}"
        )
    return root


def _origin() -> tuple[str, str | None]:
    """The repository that this package was installed from, and the commit. Raises UserError."""
    installed = json.loads(distribution(TEMPLATE).read_text("direct_url.json") or "{}")
    if "vcs_info" in installed:
        return installed["url"], installed["vcs_info"]["commit_id"]
    if (_REPOSITORY / ".git").exists():
        return str(_REPOSITORY), None
    raise UserError("this was not installed from a git repository: name the template's with --template URL")


def _answers(options: argparse.Namespace) -> Answers:
    """From the flags; at a terminal what they leave open is asked, each until the answer is right."""
    if PACKAGE != TEMPLATE:  # one from before there were answers, which has this command too
        raise UserError(f"this already is a project of its own, {PACKAGE}")
    manifest = read_manifest(Path(__file__).with_name("making") / MANIFEST.name)
    told = asdict(Answers("")) | {"inputs": manifest.inputs, "tasks": manifest.tasks, "author": _user()}
    flags = {key: value for key, value in vars(options).items() if key in told and value is not None}
    told |= flags
    _checked(told | {"name": options.name or "fraud-watch"}, manifest)  # what is wrong there is not asked for again
    if not sys.stdin.isatty() or options.yes:
        if options.name is None:
            raise UserError("name the project, as in `new fraud-watch`")
        return _checked(told, manifest)
    for key in [key for key in _QUESTIONS if key not in flags]:
        told = _ask(key, told, manifest)
        if key == "name" and options.command == "new" and not options.into:
            project.refuse_folder(Path.cwd() / told["name"])  # before more is asked
    return _checked(told, manifest)


_QUESTIONS = {
    "name": "Name, as in fraud-watch",
    "description": "What it does, in one sentence",
    "author": "Who holds the copyright",
    "license": f"Licence, of {', '.join(LICENSES)}",
    "python": f"Python, of {', '.join(PYTHONS)}",
    "torch": f"torch, of {', '.join(TORCH)} (cpu: on Linux 4 GB less)",
    "inputs": "Inputs to keep",
    "tasks": "Tasks to keep",
    "without": "Parts to leave out, of $parts",
}


def _ask(key: str, told: dict[str, Any], manifest: Manifest) -> dict[str, Any]:
    """What was told, and the answer to one question more."""
    parts = [part for part in manifest.parts if part not in {*manifest.inputs, *manifest.tasks}]
    is_list = not isinstance(told[key], str)

    def check(text: str) -> dict[str, Any]:
        tried = told | {key: _names(text) if is_list else text}
        _checked(tried, manifest)
        return tried

    default = told[key]
    if is_list:
        default = ",".join(name for name in told[key] if key == "without" or name not in told["without"])
    return ask(_QUESTIONS[key].replace("$parts", ", ".join(parts)), default, check)


def _checked(told: dict[str, Any], manifest: Manifest) -> Answers:
    """Raises UserError: an answer is wrong."""
    check_name(told["name"])
    out = {*told["without"]}
    for kind, known in (("inputs", manifest.inputs), ("tasks", manifest.tasks)):
        if unknown := {*told[kind]} - {*known}:
            raise UserError(f"{kind}: {min(unknown)} is none of {', '.join(known)}")
        out |= {*known} - {*told[kind]}
    rest = {key: value for key, value in told.items() if key not in ("inputs", "tasks", "year", "without")}
    answers = Answers(**rest, without=tuple(sorted(out)), year=datetime.now(UTC).year).check()
    manifest.check(answers.without)
    return answers


def _user() -> str:
    return subprocess.run(["git", "config", "user.name"], capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
