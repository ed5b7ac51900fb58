"""Alerts for what collects the metrics, generated from one source: deploy/alerts/alerts.yaml.

python -m boatyard.monitor.alerts [--check]
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
from boatyard.config.plurals import counted

DEPLOY = Path("deploy")
_INTERVAL = 30  # seconds between evaluations; Cloud Monitoring takes multiples of 30
_UNITS = {"s": 1, "m": 60, "h": 3600}


class Alert(BaseModel):
    """An alert. It fires while `expression`, in PromQL, returns anything."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[A-Z][A-Za-z]+$")
    severity: Literal["page", "ticket"]
    seconds: int = Field(alias="for")
    summary: str = Field(min_length=1)
    action: str = Field(min_length=1)
    expression: str = Field(min_length=1)
    # part: cloud
    on_cloud_run: bool = True
    """False for what is normal where a service without requests has no instance."""
    # part end

    @field_validator("seconds", mode="before")
    @classmethod
    def _parse_duration(cls, duration: object) -> int:
        match = re.fullmatch(r"(\d{1,3})([smh])", str(duration))
        if match is None or (seconds := int(match[1]) * _UNITS[match[2]]) % _INTERVAL:
            raise ValueError(f"must be a multiple of {_INTERVAL}s, such as 30s, 5m or 1h")
        return seconds


def read_alerts(file: Path) -> list[Alert]:
    """Raises UserError, which names the file and the key."""
    try:
        alerts = TypeAdapter(list[Alert]).validate_python(yaml.safe_load(file.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{file}: {' '.join(str(error).split())}") from None
    except ValidationError as error:
        first = error.errors()[0]
        at = ".".join(str(part) for part in first["loc"])
        raise UserError(f"{file}: {at}: {first['msg'].removeprefix('Value error, ')}") from None
    if len({alert.name for alert in alerts}) < len(alerts):
        raise UserError(f"{file}: two alerts have the same name")
    return alerts


def rules(alerts: Sequence[Alert]) -> str:
    """The rule file for Prometheus."""
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
    # unlimited width: otherwise line breaks would depend on the length of the project's name
    text = yaml.safe_dump({"groups": [group]}, sort_keys=False, width=float("inf"), allow_unicode=True)
    return f"# generated from deploy/alerts/alerts.yaml by `invoke alerts`\n{text}"


def policy(alert: Alert) -> dict[str, object]:
    """An AlertPolicy of Cloud Monitoring, on the metrics that Managed Service for Prometheus collects."""
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
                    "disableMetricValidation": True,  # until the first request is answered there are no metrics
                },
            }
        ],
        "alertStrategy": {"autoClose": "1800s"},
    }


def files(deploy: Path = DEPLOY) -> dict[Path, str]:
    """The generated files and their contents. Raises UserError."""
    alerts = read_alerts(deploy / "alerts" / "alerts.yaml")
    return {
        deploy / "prometheus" / "alerts.yml": rules(alerts),
        **policies(alerts, deploy / "alerts"),  # part: cloud
    }


def policies(alerts: Sequence[Alert], folder: Path) -> dict[Path, str]:
    """The files for Cloud Monitoring."""
    served = (alert for alert in alerts if alert.on_cloud_run)
    return {folder / f"{_kebab_case(alert.name)}.json": json.dumps(policy(alert), indent=2) + "\n" for alert in served}


def _kebab_case(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", name).lower()


def _stale(generated: Mapping[Path, str], deploy: Path) -> Iterator[str]:
    for file, content in generated.items():
        if not file.exists() or file.read_text(encoding="utf-8") != content:
            yield str(file)
    yield from (str(file) for file in (deploy / "alerts").glob("*.json") if file not in generated)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the generated files; with `--check` only compare them, with exit status 1 if any is out of date."""
    parser = argparse.ArgumentParser(prog="python -m boatyard.monitor.alerts")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a file is out of date")
    options = parser.parse_args(arguments)
    try:
        generated = files()
    except UserError as error:
        complain(f"alerts: {error}")
        return 2
    stale = sorted(_stale(generated, DEPLOY))
    if options.check:
        if stale:
            complain(f"alerts: {', '.join(stale)} out of date: run `invoke alerts`")
        return bool(stale)
    for name in stale:
        file = Path(name)
        if file in generated:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(generated[file], encoding="utf-8")
        else:
            file.unlink()
    say(f"changed {counted(len(stale), 'file')}" if stale else "nothing to change")
    return 0


if __name__ == "__main__":
    sys.exit(main())
