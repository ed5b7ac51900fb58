"""A model that the trained one is shown beside, whatever fitted it."""

from dataclasses import asdict, dataclass
from typing import Any

from boatyard.evaluate.markdown import shorten
from boatyard.tasks.score import Scores

_LONGEST_REASON = 200


@dataclass(frozen=True)
class Compared:
    """What it reaches, and what fitting it took. `name`: in a word or three."""

    name: str
    description: str
    rows_used: int
    seconds: float
    scores: Scores

    def as_json(self) -> dict[str, Any]:
        """As metrics.json has it."""
        return {
            "name": self.name,
            "description": self.description,
            "rows_used": self.rows_used,
            "seconds": self.seconds,
            "scores": [asdict(score) for score in self.scores.all],
        }


def why_not(error: Exception) -> str:
    """Why it could not be fitted, in a sentence's brackets."""
    return shorten(f"{type(error).__name__}: {error}".rstrip(": "), _LONGEST_REASON)


def how_many(used: int, rows: int) -> str:
    """Of so many training rows, in a description."""
    return f"all {rows:,} training rows" if used == rows else f"a sample of {used:,} of {rows:,} training rows"
