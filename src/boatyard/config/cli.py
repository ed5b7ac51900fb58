"""The command line of every stage: Hydra overrides in, one clear sentence out when they are wrong."""

import logging
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from boatyard.config.addresses import reach_this_machine_directly
from boatyard.config.compose import CONFIGS, load_config, options, read_config
from boatyard.config.console import complain, log_plainly, refuse, say
from boatyard.config.errors import Failed, Stopped, UserError, no_room
from boatyard.config.processes import is_main
from boatyard.config.schema import Config
from boatyard.storage.writable import require_writable


def run(
    command: str,
    purpose: str,
    job: Callable[[Config], object],
    arguments: Sequence[str] | None = None,
    writes: Sequence[str] = (),
) -> int:
    """Compose the configuration from `arguments` (by default the process's own) and run the job.

    `writes` names the keys of `paths` that the job writes to, so that an unwritable one is refused before the work.
    Returns the exit status: 0; after one sentence on standard error, 2 for wrong input and 1 for a failure; 128 plus
    the signal's number if one ended the work.
    """
    reach_this_machine_directly()
    words = list(sys.argv[1:] if arguments is None else arguments)
    if {"-h", "--help"} & set(words):
        say(_help(command, purpose))
        return 0
    log_plainly(logging.INFO if is_main() else logging.WARNING)  # only one of torchrun's processes logs
    try:
        config = _load([word for word in words if word != "--cfg"])
        if "--cfg" in words:
            say(_as_yaml(config))
        else:
            require_writable(config, writes)
            job(config)
    except (Failed, OSError, UserError) as error:
        return refuse(command, error)
    except (Stopped, KeyboardInterrupt) as stop:
        number = stop.signal if isinstance(stop, Stopped) else signal.SIGINT
        complain(f"{command}: stopped. {stop}".rstrip())
        return 128 + number
    except Exception as error:  # libraries wrap the error of a full disk in their own ways
        if (reason := no_room(error)) is None:
            raise
        complain(f"{command}: {reason}: free some space and run the same command again to resume")
        return 2
    return 0


def _load(words: list[str]) -> Config:
    if "--params" not in words:
        return load_config(words)
    if len(words) != 2 or words[0] != "--params":
        raise UserError("--params FILE replaces overrides: use it without any")
    return read_config(Path(words[1]))


def _as_yaml(config: Config) -> str:
    from omegaconf import OmegaConf

    return OmegaConf.to_yaml(OmegaConf.create(config.model_dump(mode="json"))).rstrip()


def _help(command: str, purpose: str) -> str:
    groups = "\n".join(
        f"  {folder.name + '=':12}{' | '.join(options(folder.name))}"
        for folder in sorted(CONFIGS.iterdir())
        if folder.is_dir() and folder.name != "train"
    )
    return f"""usage: python -m boatyard.{command} [--cfg] [KEY=VALUE ... | --params FILE]

{purpose}

Choose:
{groups}

Set any key by its path in the configuration (--cfg prints them all and exits):
  train.num_train_epochs=5      train.*: the names of transformers' TrainingArguments
  model.name=FOLDER             a local folder instead of a model on the Hub
  data.path=FILE                other rows
Or read all of them from a composed file: --params params.yaml

Examples:
  python -m boatyard.{command}
  python -m boatyard.{command} data=inbox model=tiny train.seed=1
  python -m boatyard.{command} data.path=FILE data.name=NAME data.target=COLUMN

Exit status: 0 done; 1 it did not work; 2 the input is wrong, and standard error says how to fix it; 130 or 143
interrupted or terminated, and the same command resumes where it stopped."""
