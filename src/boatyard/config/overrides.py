"""The grammar of overrides: Hydra's own, and text without its quotes where the key takes text."""

import re
from typing import Any

from hydra.core.override_parser.types import Quote, QuotedString

from boatyard.config.owned import all_keys, former_keys

RENAME = "data.hub.rename."  # any key may follow: a column's name
_IN_QUOTES = re.compile(r"""\s*('(\\.|[^'\\])*'|"(\\.|[^"\\])*")\s*""")
_ITEM = re.compile(r"""\s*(?:'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")\s*(?=,|$)|[^,]+""")


def literally(word: str) -> str:
    """The override with its text in quotes, where the key takes text: a path, a column or a name is any text at all.

    Hydra's grammar stays for null, for `${...}`, for what is in quotes already and for every other key.
    """
    key, _, value = word.partition("=")
    annotation = _text_keys().get(key.lstrip("+"), str if key.lstrip("+").startswith(RENAME) else None)
    if annotation is None or (value == "null" and annotation == str | None):
        return word
    if annotation != list[str] or not (value.startswith("[") and value.endswith("]")):
        return f"{key}={_quoted(value)}"
    return f"{key}=[{','.join(_quoted(item.strip()) for item in _ITEM.findall(value[1:-1]))}]"


def _quoted(text: str) -> str:
    return text if _IN_QUOTES.fullmatch(text) else QuotedString(text, Quote.single).with_quotes()


def _text_keys() -> dict[str, Any]:
    """The keys that take text, or a list of it, each with its type."""
    known = all_keys()
    typed = known | {former: known[key] for former, key in former_keys().items()}
    return {key: annotation for key, annotation in typed.items() if annotation in (str, str | None, list[str])}
