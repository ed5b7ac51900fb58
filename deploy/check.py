"""Validate workflows and deploy/ against the schemas of their readers: `invoke lint`.

Templates are checked unrendered: a placeholder such as $image is valid as any single value.
"""

import re
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any

from check_jsonschema.builtin_schemas import get_builtin_schema
from jsonschema.exceptions import best_match
from jsonschema.protocols import Validator
from jsonschema.validators import validator_for
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from boatyard.cloud.schemas import google_schema  # part: cloud

ROOT = Path(__file__).parents[1]
COVERED = (
    ".github",
    "deploy",
    "cloudbuild.yaml",  # part: cloud
)
SUFFIXES = {".json", ".yaml", ".yml"}

# the first matching pattern applies
RULES = {
    ".github/workflows/*": ["vendor.github-workflows", "custom.github-workflows-require-timeout"],
    ".github/dependabot.yml": ["vendor.dependabot"],
    ".github/ruleset.json": [],  # no schema available: tests/unit/test_workflows.py reads it
    ".github/ISSUE_TEMPLATE/config.yml": ["vendor.github-issue-config"],
    ".github/ISSUE_TEMPLATE/*": ["vendor.github-issue-forms"],
    # part: cloud
    # a schema of two words is a message of a Google API
    "cloudbuild.yaml": ["vendor.cloudbuild", "cloudbuild.v1 Build"],
    "deploy/cloudbuild/cleanup.json": [],  # gcloud's own form, and a part of a message: tests/cloud/test_doctor.py
    "deploy/storage/lifecycle.json": [],
    "deploy/*trigger*": ["cloudbuild.v1 BuildTrigger"],
    "deploy/run/*": ["run.v1 Service"],
    "deploy/infrastructure/*": [],  # tests/unit/test_infrastructure.py reads them
    "deploy/vertex/*": ["aiplatform.v1 GoogleCloudAiplatformV1CustomJob"],
    # part end
    "deploy/alerts/alerts.yaml": [],  # boatyard.monitor.alerts reads it
    "deploy/alerts/*": ["monitoring.v3 AlertPolicy"],  # part: cloud
    "deploy/prometheus/*": [],  # promtool does: tests/integration/test_alerts.py
    "deploy/local/compose.yaml": ["vendor.compose-spec"],
    "deploy/grafana/*": [],  # no schema available: tests/integration/test_dashboard.py reads them
}

_PLACEHOLDER = re.compile(r"\$(\w+|\{\w+\})")


def problems(root: Path) -> Iterator[str]:
    """A line for each mistake under `root`, with the file and the place in it."""
    for path in sorted(_files(root)):
        name = path.relative_to(root).as_posix()
        rule = next((pattern for pattern in RULES if fnmatch(name, pattern)), None)
        if rule is None:
            yield f"{name}: nothing checks it; add a rule to deploy/check.py"
            continue
        try:
            content = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))  # YAML includes JSON
        except YAMLError as error:
            yield f"{name}: {' '.join(str(error).split())}"
            continue
        for schema in RULES[rule]:
            yield from (f"{name}: {mistake}" for mistake in _mistakes(content, schema))


def _files(root: Path) -> Iterator[Path]:
    for covered in (root / part for part in COVERED):
        paths = covered.rglob("*") if covered.is_dir() else [covered]
        yield from (path for path in paths if path.suffix in SUFFIXES and path.is_file())


def _mistakes(content: Any, schema: str) -> Iterator[str]:
    for error in _validator(schema).iter_errors(content):
        if not (isinstance(error.instance, str) and _PLACEHOLDER.fullmatch(error.instance)):
            nearest = best_match([error])  # among the alternatives in a schema, the most relevant error
            yield f"{nearest.json_path.removeprefix('$.')}: {nearest.message:.200}"


@cache
def _validator(schema: str) -> Validator:
    # part: cloud
    if " " in schema:
        definition = google_schema(*schema.split())
        return validator_for(definition)(definition)
    # part end
    definition = get_builtin_schema(schema)
    return validator_for(definition)(definition)


if __name__ == "__main__":
    lines = list(problems(ROOT))
    print("\n".join(lines) or "configuration: ok")
    sys.exit(bool(lines))
