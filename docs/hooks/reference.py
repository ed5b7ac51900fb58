"""The reference, generated from the configuration's schema and files, the OpenAPI documents and the tasks."""

import json
import pkgutil
import re
import runpy
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any, cast

from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

import boatyard
from boatyard import inputs, tasks
from boatyard.api import Application
from boatyard.api.openapi import describe
from boatyard.api.settings import Settings
from boatyard.bundle.manifest import Manifest
from boatyard.bundle.predict import Predictor
from boatyard.config.compose import CONFIGS, options
from boatyard.config.owned import config_type, former_keys, owners
from boatyard.inputs.text.serving import request_schema
from boatyard.monitor.service import create_app as create_monitor
from boatyard.monitor.settings import Settings as MonitorSettings
from boatyard.tasks.classification import serving as classification
from boatyard.tasks.classification.familiarity import UNFAMILIAR_SHARE

ROOT = Path(__file__).parents[2]
Schema = dict[str, Any]
_LONGEST_PATTERN = 40  # characters; who wants to match a longer one takes it from the OpenAPI document


def configuration() -> str:
    """Each key with its type, default and comment; then the files of the config groups."""
    schemas = [config_type(input_, task).model_json_schema() for input_ in inputs.names() for task in tasks.names()]
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        defaults = OmegaConf.to_container(compose("config"), resolve=False)
    comments = _comments()
    parts = [
        "# Configuration",
        "All keys, with their types and defaults. `-o KEY=VALUE` sets one for an `invoke` command, `KEY=VALUE` for "
        "`python -m boatyard.STAGE`. The defaults are those of `uv run invoke pipeline`; another file of a group "
        "(`-o model=NAME`) has its own. [All files](#the-files) are listed below. A key that belongs to an input or a "
        "task says so, and is known only if that is chosen.",
        *(f"`{former}`, the former name of `{key}`, still works." for former, key in former_keys().items()),
    ]
    for name in schemas[0]["properties"]:
        rows: dict[str, tuple[str, ...]] = {}
        for schema in schemas:
            section = _resolved(schema["properties"][name], schema)
            for key, leaf in _leaves(section, schema, f"{name}."):
                default = _default(defaults, key) or (_shown(leaf["default"]) if "default" in leaf else "")
                comment = ". ".join(
                    filter(
                        None,
                        (
                            _owner(key),
                            _without_choices(leaf, comments.get(key) or _text(leaf.get("description")).rstrip(".")),
                        ),
                    )
                )
                rows.setdefault(key, (f"`{key}`", _takes(leaf), default, comment))
        section = _resolved(schemas[0]["properties"][name], schemas[0])
        parts += [f"## {name}", _text(section.get("description"))]
        parts.append(_table(("key", "type", "default", "comment"), rows.values()))
    parts.append("## The files")
    for group in sorted(folder.name for folder in CONFIGS.iterdir() if folder.is_dir()):
        for option in options(group):
            lines = (CONFIGS / group / f"{option}.yaml").read_text(encoding="utf-8").splitlines()
            parts.append("\n".join([f'??? note "{group}={option}"', "", *_indented("```yaml", *lines, "```")]))
    return "\n\n".join(parts) + "\n"


def http() -> str:
    """Each route, then the schemas of requests and answers."""
    document = _document()
    shapes = document["components"]["schemas"]
    parts = [
        "# HTTP",
        "The server's routes, also [as OpenAPI](openapi.json). The fields of requests and answers depend on the model: "
        "see the page `/docs` of its server. [Serving](../serving.md) describes the server's behaviour.",
    ]
    parts += _routes(document["paths"], "##")
    # part: monitor
    watching = _monitor_document()
    parts += ["## The monitor", "A separate server, described in [Monitoring](../monitoring.md)."]
    parts += _routes(watching["paths"], "###")
    shapes = watching["components"]["schemas"] | shapes
    # part end
    parts.append("## Shapes")
    for name, shape in shapes.items():
        parts += [f"### {name}", _text(shape.get("description", ""))]
        fields = shape.get("properties", {}).items()
        parts.append(
            _table(
                ("field", "type", "description"),
                ((f"`{field}`", _takes(schema), _text(schema.get("description", ""))) for field, schema in fields),
            )
        )
    return "\n\n".join(parts) + "\n"


def _routes(paths: Schema, level: str) -> list[str]:
    parts = []
    for path, methods in paths.items():
        for method, route in methods.items():
            parts += [f"{level} {method.upper()} {path}", _text(route.get("description", route["summary"]))]
            parameters = [
                (f"`{field['name']}`", field["in"], _takes(field["schema"])) for field in route.get("parameters", [])
            ]
            if parameters:
                parts.append(_table(("parameter", "in", "type"), parameters))
            for form, body in route.get("requestBody", {}).get("content", {}).items():
                parts.append(f"Body, `{form}`: {_takes(body['schema'])}.")
            answers = sorted(route["responses"].items())
            for status, answer in answers:
                for form, content in answer.get("content", {}).items() if status < "400" else ():
                    shape = f": {_takes(content['schema'])}" if content.get("schema") else ""
                    parts.append(f"Answer, {status}, `{form}`{shape}.")
            if refusals := ", ".join(
                f"{status} {answer['description']}" for status, answer in answers if status >= "400"
            ):
                parts.append(f"Refusals: {refusals}; each is a [ProblemDocument](#problemdocument).")
    return parts


def openapi() -> str:
    """The server's OpenAPI document."""
    return json.dumps(_document(), indent=1)


def commands() -> str:
    """Each task with its arguments."""
    repository = runpy.run_path(str(ROOT / "tasks.py"))
    namespace = repository["namespace"]
    parts = [
        "# Commands",
        "`uv run invoke --list` lists all commands, `uv run invoke --help NAME` describes one. The exit status is 0 "
        "for success, 1 for a failure, 2 for invalid input (one sentence says how to fix it), and 130 or 143 if the "
        "command was interrupted or terminated; the same command then resumes where it stopped.",
        "Each stage is also a module, with the same overrides but no `-o`: `python -m boatyard.train train.seed=1`.",
    ]
    for group, names in repository["grouped"]().items():
        parts.append(f"## {group.capitalize()}")
        parts += [part for name in names for part in _command(name, namespace[name])]
    return "\n\n".join(parts) + "\n"


def _command(name: str, task: Any) -> list[str]:
    arguments = task.get_arguments()
    positional = [argument for argument in arguments if argument.positional and argument.kind is not list]
    usage = " ".join([name, *(argument.name.upper() for argument in positional)])
    rows = [
        (
            f"`{_flags(argument.names)}`",
            argument.help or "",
            _shown(argument.default) if argument.kind in (str, int) else "",
        )
        for argument in arguments
        if argument not in positional
    ]
    options = [_table(("option", "description", "default"), rows)] if rows else []
    return [f"### {name}", _text(task.__doc__), f"    uv run invoke {usage}", *options]


def package() -> dict[str, str]:
    """A page for each module of the package, by its name: mkdocstrings fills them from the docstrings."""
    names = [module.name for module in pkgutil.iter_modules(boatyard.__path__) if not module.name.startswith("_")]
    return {name: f"# boatyard.{name}\n\n::: boatyard.{name}\n" for name in names}


def _comments() -> dict[str, str]:
    """The comments behind keys in configs/, by key; the first file that has one applies."""
    comments: dict[str, str] = {}
    for file in [CONFIGS / "config.yaml", *sorted(CONFIGS.glob("*/*.yaml"))]:
        text = file.read_text(encoding="utf-8")
        above = [] if file.parent == CONFIGS or "@package _global_" in text else [(-1, file.parent.name)]
        for spaces, name, comment in re.findall(r"^( *)(\w+):(?:.* # (.*))?", text, re.MULTILINE):
            above = [*(key for key in above if key[0] < len(spaces)), (len(spaces), name)]
            if comment:
                comments.setdefault(".".join(name for _, name in above), comment)
    return comments


def _without_choices(leaf: Schema, comment: str) -> str:
    """The comment without the choices that the schema lists."""
    return comment.removeprefix(" | ".join(map(str, leaf.get("enum", [])))).lstrip(":, ")


def _leaves(section: Schema, whole: Schema, prefix: str) -> Iterator[tuple[str, Schema]]:
    for name, field in section.get("properties", {}).items():
        inner = _resolved(field, whole)
        if "properties" in inner:
            yield from _leaves(inner, whole, f"{prefix}{name}.")
        else:
            yield prefix + name, field


def _resolved(field: Schema, whole: Schema) -> Schema:
    """The definition behind a reference, also a nullable one."""
    for choice in [field, *field.get("anyOf", [])]:
        if reference := choice.get("$ref"):
            definition: Schema = whole["$defs"][reference.rpartition("/")[2]]
            return definition
    return field


def _takes(schema: Schema) -> str:
    """A JSON Schema in a few words."""
    if reference := schema.get("$ref"):
        name = reference.rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if choices := schema.get("anyOf") or schema.get("oneOf"):
        return " or ".join(_takes(choice) for choice in choices)
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    kind = schema.get("type", "anything")
    if kind == "array":
        least, most = schema.get("minItems", 0), schema.get("maxItems")
        size = f", {least} to {most} of them" if most else f", at least {least}" if least else ""
        return f"list of: {_takes(schema['items'])}{size}"
    if kind == "object" and (fields := schema.get("properties")):
        return "object of " + ", ".join(f"`{name}`: {_takes(field)}" for name, field in fields.items())
    words = {"string": "text", "integer": "whole number", "null": "`null`"}
    limits = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    bounds = [f"{sign} {schema[limit]:g}" for limit, sign in limits.items() if limit in schema]
    if "maxLength" in schema:
        bounds.append(f"{schema.get('minLength', 0)} to {schema['maxLength']} characters")
    if len(schema.get("pattern", "")) in range(1, _LONGEST_PATTERN):
        bounds.append(f"`{schema['pattern']}`")
    return ", ".join([words.get(kind, kind), *bounds])


def _document() -> Schema:
    served = None
    served = _served()  # part: text, classification
    with TemporaryDirectory() as folder:
        return describe(Application(Settings(storage=folder, spool=folder)).routes, cast("Predictor | None", served))


def _served() -> SimpleNamespace:
    """A model that reads one text."""
    target = {"labels": ["card_lost", "transfer", "fees"], UNFAMILIAR_SHARE: 0.02}
    manifest = Manifest.model_construct(
        request_schema=request_schema(["text"]),
        answer_schema=classification.answer_schema(target),
        truth_schema=classification.truth_schema(target),
        examples=[{"text": "my card was stolen on the bus"}],
    )
    return SimpleNamespace(
        manifest=manifest, options_type=classification.ThresholdOptions, media_types={}, file_formats={}
    )


def _monitor_document() -> Schema:
    return create_monitor(MonitorSettings()).openapi()


def _owner(key: str) -> str:
    return " or ".join(f"`{plugin.key}={plugin.name}`" for plugin in owners(key))


def _default(values: Any, key: str) -> str:
    for name in key.split("."):
        if not isinstance(values, dict) or name not in values:
            return ""
        values = values[name]
    return _shown(values)


def _shown(value: object) -> str:
    if isinstance(value, str):
        return f"`{value}`" if value else ""
    return f"`{json.dumps(value)}`"


def _flags(names: Iterable[str]) -> str:
    flags = (f"{'--' if len(name) > 1 else '-'}{name.replace('_', '-')}" for name in names)
    return ", ".join(sorted(flags, key=len))


def _indented(*lines: str) -> list[str]:
    return [f"    {line}".rstrip() for line in lines]


def _text(text: str | None) -> str:
    return " ".join((text or "").split())


def _cell(text: str) -> str:
    """With escaped bars, except in code, where they are literal."""
    return re.sub(r"`[^`]*`|\|", lambda match: "&#124;" if match[0] == "|" else match[0], text)


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *([_cell(text) for text in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
