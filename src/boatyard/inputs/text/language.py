"""Which language a text is in. Who exports or watches a model asks; who serves it need not have what guesses."""

import py3langid

UNKNOWN = "unknown"
_ENOUGH = 1_000  # characters: more seldom change the guess, and each takes time


def guess_language(text: str) -> str:
    """The code of the likeliest of py3langid's 97 languages (ISO 639), often wrong where words are few."""
    if not any(letter.isalpha() for letter in text[:_ENOUGH]):
        return UNKNOWN
    code: str = py3langid.classify(text[:_ENOUGH])[0]
    return code
