"""python -m boatyard.config.params: compose params.yaml, which DVC's stages read."""

import sys
from pathlib import Path

from boatyard.config.cli import run
from boatyard.config.compose import write_params

if __name__ == "__main__":
    words = sys.argv[1:]
    purpose = "Compose params.yaml, which DVC's stages read, from configs/ and the overrides."
    sys.exit(run("config.params", purpose, lambda _: write_params(words, Path("params.yaml")), words))
