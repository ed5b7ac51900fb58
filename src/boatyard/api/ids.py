"""The ids of answers: 24 hex digits, and a tag of 8 computed from them and the model that answered.

So any server can tell from an id alone which model gave the answer, or that none did.
"""

from hashlib import sha256
from secrets import token_hex

from boatyard.registry import Reference

_RANDOM = 24
_TAG = 8


def new_id(model: Reference) -> str:
    """A random id. `model`: the exact version that answered."""
    return _tagged(token_hex(_RANDOM // 2), model)


def row_id(job: str, row: int, model: Reference) -> str:
    """The id of a job's row, the same each time it is answered."""
    return _tagged(sha256(f"{job}/{row}".encode()).hexdigest()[:_RANDOM], model)


def is_of(answer: str, model: Reference) -> bool:
    """Whether the answer with this id is from the model."""
    return answer == _tagged(answer[:_RANDOM], model)


def _tagged(start: str, model: Reference) -> str:
    return start + sha256(f"{start} {model}".encode()).hexdigest()[:_TAG]
