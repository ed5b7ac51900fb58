"""Alerts from one source, deploy/alerts/alerts.yaml: as rules for Prometheus and as policies for Cloud Monitoring.

python -m boatyard.cloud.alerts [--check]
"""

import argparse
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator

from boatyard.config.console import complain, say
from boatyard.config.errors import UserError

DEPLOY = Path("deploy")
_INTERVAL = 30  # seconds between evaluations: of these Cloud Monitoring takes multiples
_UNITS = {"s": 1, "m": 60, "h": 3600}


class Alert(BaseModel):
    """One of them. `expression` is PromQL that yields something while it holds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[A-Z][A-Za-z]+$")
    severity: Literal["page", "ticket"]
    seconds: int = Field(alias="for")
    summary: str = Field(min_length=1)
    action: str = Field(min_length=1)
    expression: str = Field(min_length=1)

    @field_validator("seconds", mode="before")
    @classmethod
    def _in_seconds(cls, written: object) -> int:
        parts = re.fullmatch(r"(\d{1,3})([smh])", str(written))
        if parts is None or (seconds := int(parts[1]) * _UNITS[parts[2]]) % _INTERVAL:
            raise ValueError(f"must be a multiple of {_INTERVAL}s, such as 30s, 5m or 1h")
        return seconds


def read_alerts(file: Path) -> list[Alert]:
    """Raises UserError, which names file and key."""
    try:
        alerts = TypeAdapter(list[Alert]).validate_python(yaml.safe_load(file.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as wrong:
        raise UserError(f"{file}: {' '.join(str(wrong).split())}") from None
    except ValidationError as wrong:
        first = wrong.errors()[0]
        at = ".".join(str(part) for part in first["loc"])
        raise UserError(f"{file}: {at}: {first['msg'].removeprefix('Value error, ')}") from None
    if len({alert.name for alert in alerts}) < len(alerts):
        raise UserError(f"{file}: two alerts have one name")
    return alerts


def rules(alerts: Sequence[Alert]) -> str:
    """A rule file for Prometheus."""
    group = {
        "name": "boatyard",
        "interval": f"{_INTERVAL}s",
        "rules": [
            {
                "alert": alert.name,
                "expr": alert.expression.strip(),
                "for": f"{alert.seconds}s",
                "labels": {"severity": alert.severity},
                "annotations": {"summary": alert.summary, "action": alert.action},
            }
            for alert in alerts
        ],
    }
    # where lines break would hang on the length of the project's name
    written = yaml.safe_dump({"groups": [group]}, sort_keys=False, width=float("inf"), allow_unicode=True)
    return f"# made of deploy/alerts/alerts.yaml by `invoke alerts`\n{written}"


def policy(alert: Alert) -> dict[str, object]:
    """An AlertPolicy of Cloud Monitoring, which reads what Managed Service for Prometheus gathers."""
    return {
        "displayName": f"Boatyard: {alert.summary}",
        "documentation": {"content": alert.action, "mimeType": "text/markdown"},
        "userLabels": {"template": "boatyard", "severity": alert.severity},
        "severity": {"page": "CRITICAL", "ticket": "WARNING"}[alert.severity],
        "combiner": "OR",
        "conditions": [
            {
                "displayName": alert.name,
                "conditionPrometheusQueryLanguage": {
                    "query": alert.expression.strip(),
                    "duration": f"{alert.seconds}s",
                    "evaluationInterval": f"{_INTERVAL}s",
                    "ruleGroup": "boatyard",
                    "alertRule": alert.name,
                },
            }
        ],
        "alertStrategy": {"autoClose": "1800s"},
    }


def files(deploy: Path = DEPLOY) -> dict[Path, str]:
    """What the source makes. Raises UserError."""
    alerts = read_alerts(deploy / "alerts" / "alerts.yaml")
    made = {deploy / "prometheus" / "alerts.yml": rules(alerts)}
    for alert in alerts:
        made[deploy / "alerts" / f"{_hyphenated(alert.name)}.json"] = json.dumps(policy(alert), indent=2) + "\n"
    return made


def _hyphenated(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", name).lower()


def _stale(made: Mapping[Path, str], deploy: Path) -> Iterator[str]:
    for file, content in made.items():
        if not file.exists() or file.read_text(encoding="utf-8") != content:
            yield str(file)
    yield from (str(file) for file in (deploy / "alerts").glob("*.json") if file not in made)


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes them; with `--check` only says whether they are as the source has them: 1 where they are not."""
    parser = argparse.ArgumentParser(prog="python -m boatyard.cloud.alerts")
    parser.add_argument("--check", action="store_true", help="write nothing")
    chosen = parser.parse_args(arguments)
    try:
        made = files()
    except UserError as wrong:
        complain(f"alerts: {wrong}")
        return 2
    stale = sorted(_stale(made, DEPLOY))
    if chosen.check:
        if stale:
            complain(f"alerts: {', '.join(stale)} not as the source has it: run `invoke alerts`")
        return bool(stale)
    for name in stale:
        file = Path(name)
        if file in made:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(made[file], encoding="utf-8")
        else:
            file.unlink()
    say(f"{len(stale)} files were changed" if stale else "nothing to change")
    return 0


if __name__ == "__main__":
    sys.exit(main())
