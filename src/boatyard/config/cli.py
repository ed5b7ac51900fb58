"""The command line that every stage shares: Hydra overrides in, one clear sentence out when they are wrong."""

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
    """Compose the configuration from `arguments` (the process's own by default) and do the job.

    `writes` names the keys of `paths` that the job writes to, so that what cannot be written ends it before its work.
    Returns the exit status: 0; after one sentence on standard error, 2 when the user's input is wrong and 1 when what
    was tried did not work; 128 and the signal's number where one ended the work.
    """
    reach_this_machine_directly()
    words = list(sys.argv[1:] if arguments is None else arguments)
    if {"-h", "--help"} & set(words):
        say(_help(command, purpose))
        return 0
    log_plainly(logging.INFO if is_main() else logging.WARNING)  # of torchrun's processes one speaks
    try:
        config = _configured([word for word in words if word != "--cfg"])
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
    except Exception as error:  # of libraries, each of which tells of a full disk in its own way
        if (why := no_room(error)) is None:
            raise
        complain(f"{command}: {why}: make room and run the same command again to go on")
        return 2
    return 0


def _configured(words: list[str]) -> Config:
    if "--params" not in words:
        return load_config(words)
    if len(words) != 2 or words[0] != "--params":
        raise UserError("--params FILE takes the place of overrides: it goes without any")
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

Set any key, by its path in the configuration (--cfg prints all of them, and stops):
  train.num_train_epochs=5      train.*: the names of transformers' TrainingArguments
  model.name=FOLDER             a local folder instead of a model on the Hub
  data.path=FILE                other rows
Or take all of them from a file that was composed before: --params params.yaml

Examples:
  python -m boatyard.{command}
  python -m boatyard.{command} data=banking77 data.path=FOLDER model=minilm
  python -m boatyard.{command} data=csv data.path=FILE data.name=NAME data.label_column=topic

Exit status: 0 done; 2 the input is wrong, and standard error says how to mend it; 130 or 143 interrupted or
terminated, and the same command goes on where it stopped."""
