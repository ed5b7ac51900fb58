"""Hydra composes the configuration from `configs/` and the overrides; the schema refuses what does not fit."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast, get_type_hints

from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationKeyError, OmegaConfBaseException
from pydantic import TypeAdapter, ValidationError
from yaml import MarkedYAMLError, YAMLError

from boatyard.config.errors import UserError, suggestion
from boatyard.config.overrides import RENAME, literally
from boatyard.config.owned import adapted, all_keys, config_type, former_keys, owners, refuse_moved, rename
from boatyard.config.schema import Config, Data, Train

_package = Path(__file__).parents[1]
CONFIGS = next(folder for folder in (_package.parents[1] / "configs", _package / "configs") if folder.is_dir())
_ALL_KEYS = "--cfg prints all keys"
# what boatyard itself sets
_MANAGED = {
    "ddp_find_unused_parameters",
    "greater_is_better",
    "hub_token",
    "label_names",
    "length_column_name",
    "logging_nan_inf_filter",
    "output_dir",
    "push_to_hub",
    "remove_unused_columns",
    "report_to",
    "resume_from_checkpoint",
    "run_name",
}


def load_config(overrides: Sequence[str] = ()) -> Config:
    """Compose and check.

    Raises:
        UserError: an override is malformed, names an unknown key or option, or has a value of a wrong type;
            the sentence gives the nearest valid one.
    """
    return _check(*_compose("config", overrides))


def write_params(overrides: Sequence[str], file: Path) -> None:
    """Compose and check what DVC's stages read, and write it as `dvc exp run` does.

    Raises:
        UserError: as of `load_config`, or the rows are no file.
    """
    composed, overridden = _compose("params", overrides)
    if _check(composed, overridden).data.path is None:
        raise UserError("data.path must be given: DVC follows files and folders, and no data set on the Hub")
    values = _resolved(composed)
    for former, key in former_keys().items():  # which a stage could not tell from what a file says
        rename(values, former, key, overridden)
    file.write_text(OmegaConf.to_yaml(OmegaConf.create(values)), encoding="utf-8")


def read_config(file: Path) -> Config:
    """What was composed already, as by `write_params`.

    Raises:
        UserError: the file cannot be read, or what it holds does not fit.
    """
    composed = _read_yaml(file)
    try:
        return _check(composed)
    except UserError as error:
        raise UserError(f"{file}: {error}") from None


def _read_yaml(file: Path) -> DictConfig:
    try:
        read = OmegaConf.load(file)
    except OSError as error:
        raise UserError(f"{file}: {(error.strerror or str(error)).lower()}") from None
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f", line {mark.line + 1}" if mark else ""
        raise UserError(f"{file}{line}: not YAML: {error.problem or error.context}") from None
    except (YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: not YAML in UTF-8: {' '.join(str(error).split())}") from None
    except OmegaConfBaseException as error:
        raise UserError(f"{file}: {_sentence(error)}") from None
    if not isinstance(read, DictConfig):
        raise UserError(f"{file}: holds no keys, each with its value")
    return read


def _compose(name: str, overrides: Sequence[str]) -> tuple[DictConfig, frozenset[str]]:
    """What Hydra makes of them, and the keys that were overridden."""
    try:
        parsed = OverridesParser.create().parse_overrides([literally(word) for word in overrides])
    except HydraException as error:
        raise UserError(f"not a key=value override: {error}".splitlines()[0]) from None
    for override in parsed:
        _check_key(override)
    lines = [_forced(o) if _may_be_absent(o.key_or_group) else str(o.input_line) for o in parsed]
    try:
        with initialize_config_dir(str(CONFIGS), version_base="1.3"):
            return compose(name, lines), frozenset(override.key_or_group for override in parsed)
    except (HydraException, OmegaConfBaseException, YAMLError, UnicodeDecodeError) as error:
        for file in sorted(CONFIGS.rglob("*.yaml")):
            _read_yaml(file)  # one that is no YAML says where, as Hydra does not
        raise UserError(_sentence(error)) from None


def options(group: str) -> list[str]:
    """The choices of a config group, such as those of data: the files in configs/data/."""
    return sorted(file.stem for file in (CONFIGS / group).glob("*.yaml"))


def own_rows(data: Data) -> str:
    """The choice of `data` that reads other people's rows for this input, and this task if there is one."""
    shared = _read_yaml(CONFIGS / "config.yaml").data

    def likeness(choice: str) -> tuple[bool, bool]:
        values = _read_yaml(CONFIGS / "data" / f"{choice}.yaml")
        values = values.get("data", values)
        fits = [values.get(key, shared[key]) == getattr(data, key) for key in ("input", "task")]
        return OmegaConf.is_missing(values, "path") and fits[0], fits[1]

    return max(options("data"), key=likeness)


def _check_key(override: Override) -> None:
    key = override.key_or_group
    groups = [folder.name for folder in CONFIGS.iterdir() if folder.is_dir()]
    if override.is_delete():
        raise UserError(f"{override.input_line}: keys cannot be removed; give {key} another value")
    if key in groups:
        value = override.value()
        known = options(key)
        if value not in known:
            raise UserError(f"{key}={value}: there is no such option; {suggestion(str(value or ''), known)}")
        return
    if _is_further(key):
        _check_further(key.removeprefix("train."))
        return
    refuse_moved(key)
    known = list(all_keys())
    if key not in known and key not in former_keys() and not key.startswith(RENAME):
        raise UserError(f"unknown key {key}; {suggestion(key, known + groups, beyond=_ALL_KEYS)}")


def _may_be_absent(key: str) -> bool:
    """Whether no file need hold the key: TrainingArguments has it, or an input or a task, with a default."""
    return _is_further(key) or bool(owners(key)) or key in former_keys()


def _forced(override: Override) -> str:
    return f"++{str(override.input_line).lstrip('+')}"


def _is_further(key: str) -> bool:
    """Whether only TrainingArguments can know it."""
    return key.startswith("train.") and key.removeprefix("train.") not in Train.model_fields and not owners(key)


def _check_further(name: str) -> None:
    if name in _MANAGED:
        raise UserError(f"train.{name} is set by boatyard itself and cannot be given")
    known = list(_training_arguments())
    if name not in known:
        raise UserError(f"unknown key train.{name}; {suggestion(name, known, prefix='train.', beyond=_ALL_KEYS)}")


def _resolved(composed: DictConfig) -> dict[str, Any]:
    try:
        values = OmegaConf.to_container(composed, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise UserError(_sentence(error)) from None
    return cast(dict[str, Any], values)


def _check(composed: DictConfig, overridden: frozenset[str] = frozenset()) -> Config:
    input_, task, values = adapted(_resolved(composed), overridden)
    try:
        config = config_type(input_, task).model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        if first["type"] == "missing":
            raise UserError(f"{key} must be given") from None
        if first["type"] == "extra_forbidden" and not key.startswith("sweep.space."):  # whose keys are anyone's
            raise UserError(f"unknown key {key}; {suggestion(key, list(all_keys()), beyond=_ALL_KEYS)}") from None
        shown = key if first["type"] == "value_error" else f"{key}={first['input']!r}"
        raise UserError(f"{shown}: {first['msg'].removeprefix('Value error, ').lower()}") from None
    for name, value in (config.train.model_extra or {}).items():
        _check_further(name)
        try:
            TypeAdapter(_training_arguments()[name]).validate_python(value)
        except ValidationError as error:
            raise UserError(f"train.{name}={value}: {error.errors()[0]['msg'].lower()}") from None
    return config


def _training_arguments() -> dict[str, Any]:
    """Every field of TrainingArguments and its type. Imports transformers: only asked for when needed."""
    from transformers import TrainingArguments

    hints = get_type_hints(TrainingArguments)
    return {field.name: hints[field.name] for field in dataclasses.fields(TrainingArguments)}


def _sentence(error: Exception) -> str:
    """The first line of Hydra's message, which holds the key and what is wrong with it."""
    message = str(error).strip().splitlines() or [type(error).__name__]
    key = getattr(error, "full_key", None)
    if key and "issing mandatory value" in message[0]:
        return f"{key} must be given: add {key}=..."
    if isinstance(error, InterpolationKeyError):
        _, referred, _ = message[0].split("'")
        return f"{key} refers to {referred}, which must be given"
    return message[0]
