"""The keys that one input or one task owns, beside those that every configuration has.

A plug-in's `settings` may have `SECTIONS`: by section (`data`, `evaluate`, `model.text`) a class with its keys. Those
of `data` and the like lie beside the general ones; a section of its own, as `model.text`, is nested.
"""

from collections.abc import Collection, Iterator, Mapping, MutableMapping
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any, Literal

from pydantic import create_model

from boatyard import inputs, tasks
from boatyard.config.errors import UserError
from boatyard.config.schema import Config, Section, Sweep, Train, keys

_MOVED = {"data.kind": "data.input"}


@dataclass(frozen=True)
class Plugin:
    """An input or a task, and the classes of its keys. `key`: `data.input` or `data.task`, which chooses it."""

    key: str
    name: str
    settings: ModuleType

    @property
    def sections(self) -> Mapping[str, type[Section]]:
        """By path."""
        sections: Mapping[str, type[Section]] = getattr(self.settings, "SECTIONS", {})
        return sections

    @property
    def former_keys(self) -> Mapping[str, str]:
        """Keys of an earlier version that are understood as the key they are now, where this plug-in is chosen."""
        former: Mapping[str, str] = getattr(self.settings, "FORMER_KEYS", {})
        return former

    @property
    def moved_keys(self) -> Mapping[str, str]:
        """Keys of an earlier version that are refused with the key they are now."""
        moved: Mapping[str, str] = getattr(self.settings, "MOVED_KEYS", {})
        return moved

    @property
    def keys(self) -> dict[str, Any]:
        """Every key it owns, by its path, with its type."""
        return {key: kind for path, section in self.sections.items() for key, kind in keys(section, f"{path}.")}


@cache
def plugins() -> tuple[Plugin, ...]:
    """All inputs and tasks."""
    return (
        *(Plugin("data.input", name, inputs.settings(name)) for name in inputs.names()),
        *(Plugin("data.task", name, tasks.settings(name)) for name in tasks.names()),
    )


@cache
def config_type(input_: str, task: str) -> type[Config]:
    """The schema for one pair, with the metrics of its task. Raises UserError where there is no such input or task."""
    pair = Plugin("data.input", input_, inputs.settings(input_)), Plugin("data.task", task, tasks.settings(task))
    owned = [section for plugin in pair for section in plugin.sections.items()]
    fields: dict[str, Any] = {}
    for name, field in Config.model_fields.items():
        beside = [section for path, section in owned if path == name]
        nested = {path.partition(".")[2]: section for path, section in owned if path.startswith(f"{name}.")}
        if beside or nested:
            assert isinstance(field.annotation, type)
            own: dict[str, Any] = {key: (section, ...) for key, section in nested.items()}
            general = field.annotation
            both = create_model(general.__name__, __base__=(*beside, general), __doc__=general.__doc__, **own)
            fields[name] = (both, ...)
    if measured := getattr(tasks.settings(task), "VALIDATION", None):
        metric: Any = Literal["score", "loss", *measured]
        general = fields["train"][0] if "train" in fields else Train
        train = create_model("Train", __base__=general, __doc__=Train.__doc__, metric_for_best_model=(metric, ...))
        sweep = create_model("Sweep", __base__=Sweep, __doc__=Sweep.__doc__, metric=(metric, ...))
        fields |= {"train": (train, ...), "sweep": (sweep | None, ...)}
    return create_model("Config", __base__=Config, **fields)


@cache
def all_keys() -> dict[str, Any]:
    """Every key that any configuration may have, by its path, with its type."""
    return dict(keys(Config)) | {key: annotation for plugin in plugins() for key, annotation in plugin.keys.items()}


def owners(key: str) -> list[Plugin]:
    """The inputs and tasks that own a key; none for a general one."""
    return [plugin for plugin in plugins() if key in plugin.keys or ("." in key and key in plugin.sections)]


@cache
def former_keys() -> dict[str, str]:
    """All that are still understood, each with what it is now."""
    return {former: key for plugin in plugins() for former, key in plugin.former_keys.items()}


def refuse_moved(key: str) -> None:
    """Raises UserError, with the key's new name, where an earlier version had it elsewhere."""
    for former, now in (*_MOVED.items(), *(pair for plugin in plugins() for pair in plugin.moved_keys.items())):
        if key == former or key.startswith(f"{former}."):
            raise UserError(f"{former} is now {now}")


def adapted(values: dict[str, Any], overridden: Collection[str]) -> tuple[str, str, dict[str, Any]]:
    """The input, the task, and the values with their keys alone; those of others are left out.

    `overridden`: the keys that a person gave: none of them is left out.

    Raises:
        UserError: a key has moved, belongs to another input or task, or the target is named twice or not at all.
    """
    values = deepcopy(values)
    for key in _paths(values):
        refuse_moved(key)
    data = _section(values, "data")
    chosen: dict[str, str] = {}
    for key in ("data.input", "data.task"):
        if (name := data.get(key.partition(".")[2])) is None:
            raise UserError(f"{key} must be given")
        chosen[key] = str(name)
    inputs.settings(chosen["data.input"]), tasks.settings(chosen["data.task"])  # raise UserError
    mine = [plugin for plugin in plugins() if chosen[plugin.key] == plugin.name]
    others = [plugin for plugin in plugins() if plugin not in mine]
    for plugin in mine:
        for former, key in plugin.former_keys.items():
            rename(values, former, key, overridden)
        for path in plugin.sections:
            section, _, nested = path.partition(".")
            if nested:
                _section(values, section).setdefault(nested, {})
    owned = {key for plugin in mine for key in (*plugin.keys, *plugin.sections)}
    for plugin in others:
        for key in (*plugin.former_keys, *plugin.keys, *(path for path in plugin.sections if "." in path)):
            if key in owned:
                continue
            now = plugin.former_keys.get(key)
            if key in overridden or (now and now not in overridden and _get(values, key) is not None):
                hint = f"; give {now}" if now else ""
                raise UserError(f"{key} belongs to {plugin.key}={plugin.name}, and this is {chosen[plugin.key]}{hint}")
            _pop(values, key)
    if data.get("target") is None:
        raise UserError("data.target must be given: add data.target=COLUMN")
    return chosen["data.input"], chosen["data.task"], values


def rename(values: dict[str, Any], former: str, key: str, overridden: Collection[str]) -> None:
    """A person's override wins over a file; two overrides, or two values of files, must not contradict each other."""
    if (value := _pop(values, former)) is None:
        return
    path, _, name = key.rpartition(".")
    section = _section(values, path)
    if (former in overridden) == (key in overridden):
        if section.get(name) not in (None, value):
            raise UserError(f"{former} is the former name of {key}: give one of them")
        section[name] = value
    elif former in overridden:
        section[name] = value


def _section(values: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Raises UserError where it is missing, or holds no keys."""
    section: object = values.get(name)
    if section is None:
        raise UserError(f"{name} must be given")
    if not isinstance(section, dict):
        raise UserError(f"{name}={section!r}: holds no keys, each with its value")
    return section


def _get(values: Any, key: str) -> Any:
    """The value of a key, None where it is absent."""
    for part in key.split("."):
        values = values.get(part) if isinstance(values, Mapping) else None
    return values


def _pop(values: MutableMapping[str, Any], key: str) -> Any:
    """Takes the key out; its value, None where it is absent."""
    *path, last = key.split(".")
    for part in path:
        if not isinstance(inner := values.get(part), MutableMapping):
            return None
        values = inner
    return values.pop(last, None)


def _paths(values: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in values.items():
        yield f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from _paths(value, f"{prefix}{key}.")
