"""The composed configuration, typed: Hydra composes it from `configs/`, pydantic refuses what does not fit.

It is read at the edge, once, and passed in; nothing below a command asks for it.
"""

import dataclasses
import difflib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self, get_args, get_type_hints

from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, Quote, QuotedString
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)
from yaml import MarkedYAMLError, YAMLError

from boatyard.errors import UserError
from boatyard.storage.interface import KEY_PART

_package = Path(__file__).parent
CONFIGS = next(folder for folder in (_package.parents[1] / "configs", _package / "configs") if folder.is_dir())
_NAME = r"^[a-z0-9][a-z0-9_-]{0,63}$"  # of models and aliases, as the registry has them


class Section(BaseModel):
    """A frozen part of the configuration that knows its keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Hub(Section):
    """A data set on the Hugging Face Hub; its columns are renamed to what the rest of `data` says."""

    id: str
    revision: str | None = None
    rename: dict[str, str] = {}


class Data(Section):
    """Where the rows come from and how they are split."""

    name: str = Field(pattern=_NAME)  # the model is published under it
    kind: str
    path: str | None
    hub: Hub | None
    text_columns: list[str] = Field(min_length=1, max_length=2)
    label_column: str
    split_column: str | None
    validation_share: float = Field(gt=0, lt=1)
    test_share: float = Field(gt=0, lt=1)
    min_rows_per_label: int = Field(ge=1)
    max_train_rows: int | None = Field(ge=1)
    on_bad_row: Literal["stop", "quarantine"]

    @field_validator("name")
    @classmethod
    def _names_a_folder(cls, name: str) -> str:
        if not KEY_PART.fullmatch(name):
            raise ValueError("is a device of Windows: choose another")
        return name

    @model_validator(mode="after")
    def _leaves_rows_to_train_on(self) -> Self:
        if self.validation_share + self.test_share >= 1:
            raise ValueError("validation_share and test_share leave no rows to train on")
        return self


class Scratch(Section):
    """The shape of a network that starts from random weights."""

    vocabulary: int = Field(ge=100)
    hidden_size: int = Field(ge=8)
    layers: int = Field(ge=1)
    heads: int = Field(ge=1)


class Model(Section):
    """The network: pretrained, from the Hub or the folder `name`, or else from scratch."""

    name: str | None
    max_tokens: int = Field(ge=8, le=8192)
    word_dropout: float = Field(ge=0, lt=1)
    dropout: float = Field(ge=0, lt=1)
    head: Literal["random", "centroids"]
    scratch: Scratch | None

    @model_validator(mode="after")
    def _starts_somewhere(self) -> Self:
        if self.name is None and self.scratch is None:
            raise ValueError("name or scratch must be given")
        return self


class Train(BaseModel):
    """TrainingArguments' keys by their own names, the rest of which may be given too, and a few of boatyard's `OWN`."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)
    OWN: ClassVar = frozenset({"layer_decay", "r_drop", "resume"})

    num_train_epochs: float = Field(gt=0)
    max_steps: int
    learning_rate: float = Field(gt=0)
    lr_scheduler_type: str
    warmup_steps: float = Field(ge=0)
    weight_decay: float = Field(ge=0)
    label_smoothing_factor: float = Field(ge=0, lt=1)
    max_grad_norm: float
    per_device_train_batch_size: int = Field(ge=1)
    per_device_eval_batch_size: int = Field(ge=1)
    gradient_accumulation_steps: int = Field(ge=1)
    train_sampling_strategy: Literal["random", "sequential", "group_by_length"]
    eval_strategy: Literal["no", "steps", "epoch"]
    save_strategy: Literal["no", "steps", "epoch", "best"]
    save_steps: float = Field(gt=0)
    save_total_limit: int | None = Field(ge=1)
    load_best_model_at_end: bool
    metric_for_best_model: Literal["accuracy", "macro_f1", "loss"]
    logging_steps: float = Field(gt=0)
    layer_decay: float = Field(gt=0, le=1)
    r_drop: float = Field(ge=0)
    resume: Literal["auto", "never"]
    """Whether an unfinished run of the same settings is taken up again."""
    seed: int = Field(ge=0)
    use_cpu: bool
    full_determinism: bool
    dataloader_pin_memory: bool


class Tracking(Section):
    """What Weights & Biases records."""

    mode: Literal["offline", "online", "disabled"]
    project: str
    entity: str | None
    log_bundle: bool


class Evaluate(Section):
    """What the evaluation reports."""

    top_k: int = Field(ge=1)
    mistakes: int = Field(ge=0)


class Export(Section):
    """What is served, and how far it may be from what was trained."""

    precision: Literal["int8", "fp32"]
    max_accuracy_loss: float = Field(ge=0, le=1)
    min_agreement: float = Field(ge=0, le=1)
    reference: str | None


class Publish(Section):
    """What happens to a new version."""

    alias: str | None = Field(pattern=_NAME)


class Retrain(Section):
    """When feedback is enough to learn from, and when the outcome is better."""

    min_rows: int = Field(ge=2)
    holdout: float = Field(gt=0, lt=1)
    confidence: float = Field(gt=0.5, lt=1)


class Staging(Section):
    """How far a version may be from the one in production and still be promoted."""

    max_megabytes: float = Field(gt=0)
    max_slowdown: float = Field(ge=1)
    max_accuracy_loss: float = Field(ge=0, le=1)


class Range(Section):
    """Numbers between two bounds, which belong to it; whole ones where the bounds are."""

    low: int | float
    high: int | float
    log: bool = False
    step: int | float | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if self.low >= self.high:
            raise ValueError("low must lie below high")
        if self.log and (self.step is not None or self.low <= 0):
            raise ValueError("log goes without step, and low must be above 0")
        return self

    @property
    def whole(self) -> bool:
        """Whether only whole numbers are meant."""
        return all(isinstance(number, int) for number in (self.low, self.high, self.step or 1))


class Choices(Section):
    """One of some values."""

    choices: list[bool | int | float | str] = Field(min_length=2)


def _form(given: object) -> str:
    """Which of the two was meant, so that only its own mistakes are told."""
    return "choices" if isinstance(given, Choices) or (isinstance(given, dict) and "choices" in given) else "range"


Values = Annotated[Annotated[Range, Tag("range")] | Annotated[Choices, Tag("choices")], Discriminator(_form)]


class Sweep(Section):
    """A search for better settings."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")
    trials: int = Field(ge=1)
    metric: Literal["accuracy", "macro_f1", "loss"]
    warmup: int = Field(ge=0)
    space: dict[str, Values] = Field(min_length=1)

    @property
    def direction(self) -> Literal["minimize", "maximize"]:
        """Where better lies."""
        return "minimize" if self.metric == "loss" else "maximize"


class Paths(Section):
    """Where artefacts lie."""

    processed: str
    runs: str
    reports: str
    storage: str
    checkpoints: str | None
    outputs: str | None


class Job(Section):
    """What a training job on Vertex AI runs on."""

    machine: str = Field(pattern=r"^[a-z][a-z0-9]+(-[a-z0-9]+)+$")
    gpu: Literal["t4", "l4", "v100", "a100", "a100-80gb", "h100"] | None
    gpus: int = Field(ge=1, le=8)
    workers: int = Field(ge=1)
    spot: bool
    hours: float = Field(gt=0)


class Cloud(Section):
    """Google Cloud: where, and what trains there."""

    project: str | None = Field(pattern=r"^[a-z][a-z0-9-]{4,28}[a-z0-9]$")
    region: str = Field(pattern=r"^[a-z]+-[a-z]+[0-9]+$")
    repository: str = Field(pattern=r"^[a-z][a-z0-9-]{0,62}$")
    train: Job


class Config(Section):
    """All of it."""

    data: Data
    model: Model
    train: Train
    tracking: Tracking
    evaluate: Evaluate
    export: Export
    publish: Publish
    retrain: Retrain
    staging: Staging
    paths: Paths
    sweep: Sweep | None
    cloud: Cloud


# what boatyard itself sets
_MANAGED = {
    "ddp_find_unused_parameters",
    "hub_token",
    "label_names",
    "logging_nan_inf_filter",
    "output_dir",
    "push_to_hub",
    "remove_unused_columns",
    "report_to",
    "resume_from_checkpoint",
    "run_name",
}


_RENAME = "data.hub.rename."
_IN_QUOTES = re.compile(r"""\s*('(\\.|[^'\\])*'|"(\\.|[^"\\])*")\s*""")
_ITEM = re.compile(r"""\s*(?:'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")\s*(?=,|$)|[^,]+""")


def load_config(overrides: Sequence[str] = ()) -> Config:
    """Compose and check.

    Raises:
        UserError: an override is malformed, names an unknown key or option, or has a value of a wrong type;
            the sentence gives the nearest valid one.
    """
    return _checked(_composed("config", overrides))


def write_params(overrides: Sequence[str], file: Path) -> None:
    """Compose and check what DVC's stages read, and write it as `dvc exp run` does.

    Raises:
        UserError: as of `load_config`, or the rows are no file.
    """
    composed = _composed("params", overrides)
    if _checked(composed).data.path is None:
        raise UserError("data.path must be given: DVC follows files and folders, and no data set on the Hub")
    OmegaConf.resolve(composed)
    file.write_text(OmegaConf.to_yaml(composed), encoding="utf-8")


def read_config(file: Path) -> Config:
    """What was composed already, as by `write_params`.

    Raises:
        UserError: the file cannot be read, or what it holds does not fit.
    """
    composed = _read_yaml(file)
    try:
        return _checked(composed)
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


def _composed(name: str, overrides: Sequence[str]) -> DictConfig:
    try:
        parsed = OverridesParser.create().parse_overrides([_literally(word) for word in overrides])
    except HydraException as error:
        raise UserError(f"not a key=value override: {error}".splitlines()[0]) from None
    for override in parsed:
        _check_key(override)
    lines = [f"++{o.input_line}" if _is_further(o.key_or_group) else str(o.input_line) for o in parsed]
    try:
        with initialize_config_dir(str(CONFIGS), version_base="1.3"):
            return compose(name, lines)
    except (HydraException, OmegaConfBaseException, YAMLError, UnicodeDecodeError) as error:
        for file in sorted(CONFIGS.rglob("*.yaml")):
            _read_yaml(file)  # one that is no YAML says where, as Hydra does not
        raise UserError(_sentence(error)) from None


def options(group: str) -> list[str]:
    """The choices of a config group, e.g. data: banking77, csv, fakenews, inbox."""
    return sorted(file.stem for file in (CONFIGS / group).glob("*.yaml"))


def _check_key(override: Override) -> None:
    key = override.key_or_group
    groups = [folder.name for folder in CONFIGS.iterdir() if folder.is_dir()]
    if override.is_delete():
        raise UserError(f"{override.input_line}: keys cannot be removed; give {key} another value")
    if key in groups:
        value = override.value()
        known = options(key)
        if value not in known:
            raise UserError(f"{key}={value}: there is no such option{_nearest(str(value), known)}")
        return
    if _is_further(key):
        _check_further(key.removeprefix("train."))
        return
    keys = [key for key, _ in _keys(Config)]
    if key not in keys and not key.startswith(_RENAME):
        raise UserError(f"unknown key {key}{_nearest(key, keys + groups)}")


def _literally(word: str) -> str:
    """The override with its text in quotes, where the key takes text: a path, a column or a name is any text at all.

    Hydra's grammar stays for null, for `${...}`, for what is in quotes already and for every other key.
    """
    key, _, value = word.partition("=")
    annotation = _text_keys().get(key.lstrip("+"), str if key.lstrip("+").startswith(_RENAME) else None)
    if annotation is None or (value == "null" and annotation == str | None):
        return word
    if annotation != list[str] or not (value.startswith("[") and value.endswith("]")):
        return f"{key}={_quoted(value)}"
    return f"{key}=[{','.join(_quoted(item.strip()) for item in _ITEM.findall(value[1:-1]))}]"


def _quoted(text: str) -> str:
    return text if _IN_QUOTES.fullmatch(text) else QuotedString(text, Quote.single).with_quotes()


def _text_keys() -> dict[str, Any]:
    """The keys that take text, or a list of it, each with its type."""
    return {key: annotation for key, annotation in _keys(Config) if annotation in (str, str | None, list[str])}


def _is_further(key: str) -> bool:
    """Whether only TrainingArguments can know it."""
    return key.startswith("train.") and key.removeprefix("train.") not in Train.model_fields


def _check_further(name: str) -> None:
    if name in _MANAGED:
        raise UserError(f"train.{name} is set by boatyard itself and cannot be given")
    known = list(_training_arguments())
    if name not in known:
        raise UserError(f"unknown key train.{name}{_nearest(name, known, 'train.')}")


def _checked(composed: DictConfig) -> Config:
    try:
        values = OmegaConf.to_container(composed, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise UserError(_sentence(error)) from None
    try:
        config = Config.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        if first["type"] == "missing":
            raise UserError(f"{key} must be given") from None
        given = key if first["type"] == "value_error" else f"{key}={first['input']!r}"
        raise UserError(f"{given}: {first['msg'].removeprefix('Value error, ').lower()}") from None
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


def _keys(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Each with its type."""
    for name, field in model.model_fields.items():
        yield prefix + name, field.annotation
        for nested in (field.annotation, *get_args(field.annotation)):
            if isinstance(nested, type) and issubclass(nested, BaseModel):
                yield from _keys(nested, f"{prefix}{name}.")


def _nearest(word: str, known: Sequence[str], prefix: str = "") -> str:
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    if not near:  # a right name in a wrong section
        near = [key for key in known if key.rpartition(".")[2] == word.rpartition(".")[2]]
    if near:
        return f"; did you mean {prefix}{near[0]}?"
    listed = ", ".join(known[:12])
    return f"; there are: {listed}" if len(known) <= 12 else "; --cfg prints all keys"


def _sentence(error: Exception) -> str:
    """The first line of Hydra's message, which holds the key and what is wrong with it."""
    message = str(error).strip().splitlines() or [type(error).__name__]
    key = getattr(error, "full_key", None)
    if key and "issing mandatory value" in message[0]:
        return f"{key} must be given: add {key}=..."
    return message[0]
