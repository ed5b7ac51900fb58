"""Only an input knows what a row is, and only a task what is asked of it: no name elsewhere is one of their words."""

import ast
import re
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from boatyard import inputs, tasks

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
SEARCHED = ("src/**/*.py", "tasks.py", "deploy/**/*.py", "deploy/**/*.json", "deploy/**/*.yaml", "deploy/**/*.yml")
PLUGINS = ("src/boatyard/inputs/*/*", "src/boatyard/tasks/*/*")
QUERIES = {"expr", "expression", "legendFormat", "query"}
"""Keys of alert rules and dashboards whose values name metrics."""

ORDINARY = {"count", "table"}
"""Names of inputs and tasks, those of the documentation included, that every program uses."""

WORDS = {
    *(
        "accuracy",
        "calibration",
        "class",
        "classes",
        "classified",
        "classifier",
        "classify",
        "confusion",
        "f1",
        "label",
    ),
    *("labeled", "labelled", "logit", "macro", "probabilities", "probability", "softmax", "top_k"),
    *("language", "token", "tokenise", "tokenize", "tokenizer", "vocabulary", "word"),
    *("mae", "mape", "price", "regressor", "rmse"),
    *("box", "boxes", "pixel", "residue"),
    *({*inputs.names(), *tasks.names()} - ORDINARY),
}
"""Each stands for its plural in -s too."""


class Use(NamedTuple):
    """A name in a file, with the word that it is made of."""

    file: str
    line: int
    name: str
    word: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.name} ({self.word})"


class Exempt(NamedTuple):
    """Names with another meaning: a regular expression for all of the name in either case, and patterns of paths."""

    name: str
    meaning: str
    files: tuple[str, ...] = ("*",)

    def covers(self, use: Use, pattern: str) -> bool:
        return re.fullmatch(self.name, use.name, re.IGNORECASE) is not None and fnmatch(use.file, pattern)


_SRC = "src/boatyard"
_CLOUD = f"{_SRC}/cloud/*"
_FRONTEND = f"{_SRC}/frontend/*"
_METRICS = (
    f"{_SRC}/api/metrics.py",
    f"{_SRC}/monitor/service.py",
    f"{_SRC}/frontend/exposition.py",
    f"{_SRC}/monitor/alerts.py",
    "deploy/prometheus/*",
)
_STR = (
    *(f"{_SRC}/cloud/{name}.py" for name in ("manifest", "job")),
    *(f"{_SRC}/config/{name}.py" for name in ("console", "overrides")),
    *(f"{_SRC}/evaluate/{name}.py" for name in ("markdown", "run")),
    *(f"{_SRC}/inputs/{name}.py" for name in ("lines", "quotes", "records", "sources", "training_protocol")),
    *(f"{_SRC}/tasks/{name}.py" for name in ("defaults", "protocol")),
    *(f"{_SRC}/{name}.py" for name in ("data/pieces", "monitor/alerts", "registry/reference", "score/*", "template/*")),
)
_COMMANDS = (
    "tasks.py",
    "deploy/local/stack.py",
    *(f"{_SRC}/cloud/{name}.py" for name in ("rows", "run")),
    *(f"{_SRC}/config/{name}.py" for name in ("cli", "compose", "overrides", "params")),
    *(f"{_SRC}/{name}.py" for name in ("doctor/google", "doctor/resources", "registry/staging", "template/*")),
)
EXEMPT = (
    Exempt(".*", "of bundles in format 1, in which every model classified texts", (f"{_SRC}/bundle/format_1.py",)),
    Exempt(".*", "what strings are, whoever's they are", (f"{_SRC}/inputs/texts.py",)),
    # the names of other libraries and services
    Exempt("read_text|write_text", "pathlib: the content of a file"),
    Exempt("token_hex|token_urlsafe", "secrets: random digits"),
    Exempt("ClassVar", "typing", (f"{_SRC}/config/schema.py",)),
    Exempt("ClassDef", "ast", (f"{_SRC}/template/*",)),
    Exempt("TextIOWrapper", "io", (f"{_SRC}/config/console.py",)),
    Exempt("response_class", "FastAPI: the class of a response", (f"{_SRC}/api/*", f"{_SRC}/monitor/*")),
    Exempt("formatter_class", "argparse", (f"{_SRC}/monitor/__main__.py",)),
    Exempt("text", "rich: styled output", (f"{_SRC}/config/console.py", f"{_SRC}/doctor/checks.py")),
    Exempt("text", "subprocess: output as str", ("deploy/local/*", f"{_SRC}/doctor/*", f"{_SRC}/template/*")),
    Exempt("label[a-z]+", "Altair: the marks of an axis", (f"{_SRC}/frontend/charts.py",)),
    Exempt("label_visibility", "Streamlit: whether a widget's name is seen", (_FRONTEND,)),
    Exempt("(mark_)?text|text_(area|input)|textColor", "Altair, Streamlit and httpx", (_FRONTEND,)),
    Exempt("label", "Matplotlib: the name of a line", (f"{_SRC}/data/plots.py",)),
    Exempt("text.parse_math", "Matplotlib", (f"{_SRC}/pipeline/sweep/report.py",)),
    Exempt("labels|label_ids", "transformers: the targets of a batch", (f"{_SRC}/train/*", f"{_SRC}/model.py")),
    Exempt("label_smooth(er|ing_factor)|label_names", "transformers", (f"{_SRC}/train/*", f"{_SRC}/config/*")),
    Exempt(
        "hub_token|HF_TOKEN",
        "transformers, huggingface_hub: the key to the Hub",
        (f"{_SRC}/config/*", f"{_SRC}/train/launch.py"),
    ),
    Exempt("tokenizers", "the package, whose version a bundle names", (f"{_SRC}/export/run.py",)),
    Exempt("labels|text_string_to_metric_families", "Prometheus: what tells a metric's series apart", _METRICS),
    Exempt("label|text", "Grafana: the name of a variable, a panel's style", ("deploy/grafana/*",)),
    Exempt(
        "userLabels|conditionPrometheusQueryLanguage",
        "Cloud Monitoring",
        ("deploy/alerts/*", f"{_SRC}/monitor/alerts.py"),
    ),
    Exempt("labels|labelSelector|resource.labels.*", "Google Cloud", ("deploy/run/*", "deploy/vertex/*", _CLOUD)),
    Exempt("textPayload", "Cloud Logging", (_CLOUD,)),
    Exempt("(next)?pageToken", "Google Cloud: where a list goes on", (_CLOUD,)),
    Exempt("RAY_AUTH_TOKEN", "Ray: the key of a cluster", (f"{_SRC}/cloud/replica.py",)),
    Exempt(
        "_?token|(access|oidc)Token|iam.*(access|OpenId)Token",
        "Google Cloud: who is asking",
        (_CLOUD, f"{_SRC}/doctor/*", f"{_SRC}/storage/bucket.py"),
    ),
    # an image that a container runs, or that a page shows
    Exempt(
        "images?|imageUri",
        "Docker and Google Cloud: what a container runs",
        ("deploy/local/compose.yaml", "deploy/run/*", "deploy/vertex/*", "tasks.py", _CLOUD, f"{_SRC}/doctor/*"),
    ),
    Exempt("_judge_image", "of a container", (f"{_SRC}/doctor/resources.py",)),
    Exempt("BASE_IMAGE", "of a container", ("tasks.py",)),
    Exempt("image_commit", "of a container", (f"{_SRC}/train/tracking.py",)),
    Exempt("Image", "Pillow and W&B: a plot", (f"{_SRC}/evaluate/pictures.py", f"{_SRC}/train/tracking.py")),
    Exempt("icon_image", "Streamlit", (f"{_SRC}/frontend/app.py",)),
    # programming's own meanings
    Exempt("_?calibration.*", "of a graph that is quantised", (f"{_SRC}/export/*", f"{_SRC}/inputs/*")),
    Exempt("texts", "the module on strings", (f"{_SRC}/data/*", f"{_SRC}/inputs/*")),
    Exempt("_?texts?(_keys|_may_have)?", "a str", _STR),
    Exempt("words?", "a part of a command, of a key or of a line", _COMMANDS),
)


def python_names(source: str) -> Iterator[tuple[int, str]]:
    """Identifiers, and strings that may be keys: those of letters, digits, underscores and dots."""
    for node in ast.walk(ast.parse(source)):
        line = getattr(node, "lineno", 0)
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name) | ast.keyword(arg=str(name)):
                yield line, name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield line, name
            case ast.alias(name=name) | ast.ImportFrom(module=str(name)):
                yield from ((line, part) for part in name.split("."))
            case ast.Constant(value=str(name)) if re.fullmatch(r"[\w.]+", name):
                yield line, name


def deployed_names(source: str) -> Iterator[tuple[int, str]]:
    """The keys of YAML or JSON, and all that a query names."""
    nodes = [yaml.compose(source, yaml.CSafeLoader)]
    for node in nodes:
        if isinstance(node, yaml.SequenceNode):
            nodes += node.value
        elif isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                nodes.append(value)
                yield key.start_mark.line + 1, key.value
                if key.value in QUERIES:
                    yield from ((value.start_mark.line + 1, name) for name in re.findall(r"[a-zA-Z]\w*", value.value))


def words_in(name: str) -> Iterator[str]:
    """Those of WORDS that the name is made of, split at underscores, dots and capitals."""
    parts = [part.lower() for part in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[^\W\d_A-Z]+\d*|\d+", name)]
    whole = f"_{'_'.join(parts)}_"
    return (word for word in WORDS if f"_{word}_" in whole or f"_{word}s_" in whole)


@cache
def uses() -> list[Use]:
    files = sorted(file for pattern in SEARCHED for file in ROOT.glob(pattern))
    found: set[Use] = set()
    for file in files:
        path = file.relative_to(ROOT).as_posix()
        if not any(fnmatch(path, plugin) for plugin in PLUGINS):
            names = python_names if file.suffix == ".py" else deployed_names
            named = [(0, file.stem), *names(file.read_text(encoding="utf-8"))]
            found.update(Use(path, line, name, word) for line, name in named for word in words_in(name))
    return sorted(found)


def test_no_name_outside_inputs_and_tasks_is_one_of_their_words() -> None:
    wrong = [
        str(use) for use in uses() if not any(each.covers(use, pattern) for each in EXEMPT for pattern in each.files)
    ]
    assert not wrong, "\n".join(["names that only an input or a task may use:", *wrong])


@pytest.mark.parametrize(
    ("each", "pattern"),
    [pytest.param(each, pattern, id=f"{each.name} in {pattern}") for each in EXEMPT for pattern in each.files],
)
def test_each_exception_is_still_needed(each: Exempt, pattern: str) -> None:
    assert any(each.covers(use, pattern) for use in uses()), f"{each.name} in {pattern}: {each.meaning}"


# part: classification
def test_a_word_is_seen_wherever_it_is_used_as_a_name() -> None:
    source = """
import boatyard.inputs.text
from boatyard.tasks import classification
def label_of(boxes, *, topK): return row["price"], row.get("model.max_tokens"), {"macro_f1": 1}
class TokenCounter: confusion: int
send(accuracy=rows.logits, to=Vocabulary)
"""
    seen = {word for _, name in python_names(source) for word in words_in(name)}
    assert seen >= {"text", "classification", "label", "boxes", "price", "token", "macro", "f1", "confusion"}
    assert seen >= {"accuracy", "logit", "vocabulary"}
    queries = '{"panels": [{"expr": "sum by (label) (boatyard_accuracy) > 1"}], "text_size": 1, "title": "of a box"}'
    assert {word for _, name in deployed_names(queries) for word in words_in(name)} == {"label", "accuracy", "text"}
    assert not [word for name in ("declass", "boxing", "Context", "topknot") for word in words_in(name)]


# part end
