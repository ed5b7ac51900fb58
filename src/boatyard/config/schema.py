"""The configuration's schema: pydantic refuses what does not fit.

It is read at the edge, once, and passed in; nothing below a command asks for it.
"""

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, field_validator, model_validator

from boatyard.storage.interface import KEY_PART

_NAME = r"^[a-z0-9][a-z0-9_-]{0,63}$"  # of models and aliases, as the registry has them


class Section(BaseModel):
    """A frozen part of the configuration that knows its keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)


class Hub(Section):
    """A data set on the Hugging Face Hub; its columns are renamed to what the rest of `data` says."""

    id: str
    revision: str | None = None
    rename: dict[str, str] = {}


class Data(Section):
    """Where the rows come from and how they are split."""

    name: str = Field(pattern=_NAME)  # the model is published under it
    input: str
    """What a row is: a folder of `boatyard.inputs`."""
    task: str
    """What is asked of it: a folder of `boatyard.tasks`."""
    path: str | None
    hub: Hub | None
    target: str
    """The column that holds what is to be learnt."""
    split_column: str | None
    """Says of each row to which split it belongs."""
    split_by_date: str | None
    """A column of dates: the newest rows are the test split."""
    group_column: str | None
    """Rows with the same value in it stay on one side of a split."""
    earlier_splits: str | None
    """The splits.csv of an earlier version's data report: its rows and their relatives stay where they were."""
    validation_share: float = Field(gt=0, lt=1)
    test_share: float = Field(gt=0, lt=1)
    max_train_rows: int | None = Field(ge=1)
    on_bad_row: Literal["stop", "quarantine"]

    @field_validator("name")
    @classmethod
    def _names_a_folder(cls, name: str) -> str:
        if not KEY_PART.fullmatch(name):
            raise ValueError("is a device of Windows: choose another")
        return name

    @model_validator(mode="after")
    def _splits_in_one_way(self) -> Self:
        ways = [key for key in ("split_column", "split_by_date", "group_column") if getattr(self, key) is not None]
        if len(ways) > 1:
            raise ValueError(f"{' and '.join(ways)} contradict each other: give one of them")
        return self

    @model_validator(mode="after")
    def _leaves_rows_to_train_on(self) -> Self:
        if self.validation_share + self.test_share >= 1:
            raise ValueError("validation_share and test_share leave no rows to train on")
        return self


class Model(Section):
    """The network: pretrained, from the Hub or the folder `name`, or else from scratch."""

    name: str | None
    dropout: float = Field(ge=0, lt=1)
    head: Literal["random", "fitted"]
    """Where its head starts: anywhere, or where the training rows' features put it."""


class Train(BaseModel):
    """TrainingArguments' keys by their own names, the rest of which may be given too, and a few of boatyard's `OWN`."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)
    OWN: ClassVar = frozenset({"layer_decay", "r_drop", "average", "resume"})

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
    metric_for_best_model: str
    logging_steps: float = Field(gt=0)
    layer_decay: float = Field(gt=0, le=1)
    r_drop: float = Field(ge=0)
    average: float = Field(ge=0, lt=1)
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

    mistakes: int = Field(ge=0)


class Export(Section):
    """What is served, and how far it may be from what was trained."""

    precision: Literal["int8", "fp32"]
    reference: str | None
    examples: str | None


class Publish(Section):
    """What happens to a new version."""

    alias: str | None = Field(pattern=_NAME)


class Retrain(Section):
    """Where it trains, when feedback is enough to learn from, and when the outcome is better."""

    # part: cloud
    on: Literal["here", "vertex"]
    """On this machine, or by a job on Vertex AI with the settings of `cloud.train`."""
    # part end
    min_rows: int = Field(ge=2)
    holdout: float = Field(gt=0, lt=1)
    confidence: float = Field(gt=0.5, lt=1)


class Staging(Section):
    """How far a version may be from the one in production and still be promoted."""

    max_megabytes: float = Field(gt=0)
    max_slowdown: float = Field(ge=1)
    max_score_loss: float = Field(ge=0)
    """In the unit of the task's primary score."""
    behaviour: str
    """A folder of files with inputs and what they must be answered."""


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


def _form(values: object) -> str:
    """Which of the two was meant, so that only its own mistakes are reported."""
    return "choices" if isinstance(values, Choices) or (isinstance(values, dict) and "choices" in values) else "range"


Values = Annotated[Annotated[Range, Tag("range")] | Annotated[Choices, Tag("choices")], Discriminator(_form)]


class Sweep(Section):
    """A search for better settings."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")
    trials: int = Field(ge=1)
    metric: str
    warmup: int = Field(ge=0)
    space: dict[str, Values] = Field(min_length=1)


class Paths(Section):
    """Where artefacts lie."""

    processed: str
    runs: str
    reports: str
    storage: str
    checkpoints: str | None
    outputs: str | None


# part: scale
class Score(Section):
    """Files whose rows are answered by a published model."""

    model: str | None
    """NAME, NAME@ALIAS or NAME@VERSION; None: what `data.name` has in production."""
    rows: str | None
    """A file or a folder of them, which may lie in a bucket."""
    out: str | None
    """A folder of its own, which may lie in a bucket."""
    columns: list[str] | None
    """Those that are carried along."""
    block: int = Field(ge=1)
    actors: int | None = Field(ge=1)


# part end
# part: cloud
class Machines(Section):
    """What a job on Vertex AI runs on."""

    machine: str = Field(pattern=r"^[a-z][a-z0-9]+(-[a-z0-9]+)+$")
    workers: int = Field(ge=1)
    spot: bool
    hours: float = Field(gt=0)


class Job(Machines):
    """What a training job runs on besides."""

    gpu: Literal["t4", "l4", "a100", "a100-80gb", "h100"] | None
    gpus: int = Field(ge=1, le=8)
    hub_login: bool


Environment = Literal["production", "staging"]


class Cloud(Section):
    """Google Cloud: where, and what jobs run on there."""

    project: str | None = Field(pattern=r"^[a-z][a-z0-9-]{4,28}[a-z0-9]$")
    region: str = Field(pattern=r"^[a-z]+-[a-z]+[0-9]+$")
    repository: str = Field(pattern=r"^[a-z][a-z0-9-]{0,62}$")
    environment: Environment
    """Which of the two sets of services, and the alias that they serve."""
    train: Job
    score: Machines  # part: scale


# part end
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
    score: Score  # part: scale
    paths: Paths
    sweep: Sweep | None
    cloud: Cloud  # part: cloud


def keys(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every key, by its path, with its type."""
    for name, field in model.model_fields.items():
        yield prefix + name, field.annotation
        for nested in (field.annotation, *get_args(field.annotation)):
            if isinstance(nested, type) and issubclass(nested, BaseModel):
                yield from keys(nested, f"{prefix}{name}.")
