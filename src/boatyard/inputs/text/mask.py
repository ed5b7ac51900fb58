"""`data.mask`: what a model must not see of any text. Its tokenizer leaves it out, in training and once it serves.

A pattern is whole words, whatever their capitals; `*` stands for up to 80 characters of a line, `#` for a number.
Finding it takes a time that grows with the text alone, whoever wrote it: what was matched is not given up again.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from boatyard.inputs.texts import composed, is_blank, words

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_MOST_CHARACTERS = 200
_OWN = "(?#mask)"  # a comment, by which these steps are told from a tokenizer's own
# atomic groups: to Oniguruma, the + of \s{1,80}+ repeats what is repeated, which takes a time exponential in the text
_STANDS_FOR = {"*": r"[^\n]{0,80}?", "#": r"(?>\d{1,80})", " ": r"(?>\s{1,80})"}

_VARIED = "(?>[\ufe0e\ufe0f\U0001f3fb-\U0001f3ff]*)"  # what a picture may be followed by, such as the colour of a skin


def check_pattern(pattern: str) -> None:
    """Raises ValueError, with a sentence."""
    if len(pattern) > _MOST_CHARACTERS:
        raise ValueError(f"a pattern has at most {_MOST_CHARACTERS} characters, this one has {len(pattern):,}")
    if is_blank(pattern.replace("*", "")):
        raise ValueError(f"{pattern!r} would leave out everything or nothing: name what is to be left out")
    if pattern.strip()[0] == "*" or pattern.strip()[-1] == "*":
        raise ValueError(f"{pattern!r}: the first and the last character must be what is looked for, not *")
    if unicodedata.category(composed(pattern.strip())[0]).startswith("M"):
        raise ValueError(f"{pattern!r} begins with a mark, such as an accent, that is part of the letter before it")


def masking(tokenizer: Tokenizer, patterns: Sequence[str]) -> Tokenizer:
    """The same tokenizer, to which a text is what the patterns leave of it; those of an earlier mask are forgotten."""
    state = json.loads(tokenizer.to_str())
    given = state["normalizer"]
    steps = given["normalizers"] if given and given["type"] == "Sequence" else [given] if given else []
    own = [step for step in steps if not _is_mask(step)]
    if not patterns and len(own) == len(steps):
        return tokenizer
    masks = [{"type": "Replace", "pattern": {"Regex": _regex(pattern)}, "content": " "} for pattern in patterns]
    state["normalizer"] = {"type": "Sequence", "normalizers": [*masks, *own]} if masks or own else None
    changed: Tokenizer = type(tokenizer).from_str(json.dumps(state))
    return changed


def masked(texts: Sequence[str], patterns: Sequence[str]) -> list[str]:
    """What is left of each text, for whatever reads it without a tokenizer."""
    from tokenizers import Regex, normalizers

    if not patterns:
        return list(texts)
    mask = normalizers.Sequence([normalizers.Replace(Regex(_regex(pattern)), " ") for pattern in patterns])
    return [mask.normalize_str(text) for text in texts]


def _is_mask(step: dict[str, Any]) -> bool:
    return step["type"] == "Replace" and str(step["pattern"].get("Regex", "")).startswith(_OWN)


def _regex(pattern: str) -> str:
    """Each `*` ends at the nearest of what follows it: an atomic group, which is not tried again."""
    first, *others = re.split(r"\s*\*[*\s]*", composed(pattern).strip())
    groups = "".join(f"(?>{_STANDS_FOR['*']}{_words(piece)})" for piece in others)
    return f"{_OWN}(?i){_words(first)}{groups}"


def _words(piece: str) -> str:
    tokens = re.findall(r"\s+|#|[^\s#]+", piece)
    written = "".join(_STANDS_FOR.get(token[0] if not token.isspace() else " ", _literal(token)) for token in tokens)
    starts, ends = (_is_of_word(letter) for letter in (piece[0], piece[-1]))
    return ("(?<!\\w)" if starts else "") + written + ("(?!\\w)" if ends else _VARIED)


def _literal(token: str) -> str:
    """However its accents are typed, and whether or not a Turkish I has its dot, which no (?i) knows for a capital."""
    ways = dict.fromkeys(re.escape(unicodedata.normalize(form, token)) for form in ("NFC", "NFD"))
    written = f"(?:{'|'.join(ways)})" if len(ways) > 1 else next(iter(ways))
    return re.sub("I\u0307|[i\u0130]", "(?:i\u0307?|\u0130)", written)


def _is_of_word(letter: str) -> bool:
    """Whether words go on with it, in a script that puts space between words."""
    return letter == "#" or max(map(len, words(f"a{letter}"))) > 1
