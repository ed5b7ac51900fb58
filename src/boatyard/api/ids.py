"""The ids of answers: 24 hex digits, and a tag of 8 computed from them and the model that answered.

So any server can tell from an id alone which model gave it, or that none did.
"""

from hashlib import sha256
from secrets import token_hex

from boatyard.registry import Reference

_DRAWN = 24
_TAG = 8


def new_id(model: Reference) -> str:
    """A random one. `model`: the exact version that answered."""
    return _tagged(token_hex(_DRAWN // 2), model)


def row_id(job: str, row: int, model: Reference) -> str:
    """The same for a row of a job, whoever answers it and however often."""
    return _tagged(sha256(f"{job}/{row}".encode()).hexdigest()[:_DRAWN], model)


def is_of(answer: str, model: Reference) -> bool:
    """Whether the model can have given the answer."""
    return answer == _tagged(answer[:_DRAWN], model)


def _tagged(drawn: str, model: Reference) -> str:
    return drawn + sha256(f"{drawn} {model}".encode()).hexdigest()[:_TAG]
