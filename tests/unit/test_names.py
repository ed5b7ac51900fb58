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
    *inputs.names(),
    *tasks.names(),
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
    """Names with another meaning: `name` is a regular expression for all of it, `files` are patterns of paths."""

    name: str
    meaning: str
    files: tuple[str, ...] = ("*",)

    def covers(self, use: Use, pattern: str) -> bool:
        return re.fullmatch(self.name, use.name) is not None and fnmatch(use.file, pattern)


EXEMPT = (Exempt("read_text|write_text", "of pathlib"),)


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
    ("each", "pattern"), [(each, pattern) for each in EXEMPT for pattern in each.files], ids=lambda part: str(part)
)
def test_each_exception_is_still_needed(each: Exempt, pattern: str) -> None:
    assert any(each.covers(use, pattern) for use in uses()), f"{each.name} in {pattern}: {each.meaning}"


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
    assert not [word for name in ("declass", "LabelLess", "boxing", "Context", "topknot") for word in words_in(name)]
