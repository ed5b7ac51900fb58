"""API keys: authentication and rate limits.  `python -m boatyard.api.keys NAME` makes one."""

import hashlib
import hmac
import math
import re
import secrets
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from time import monotonic

from boatyard.api.problems import Problem
from boatyard.config.errors import UserError

HEADER = "X-API-Key"

_ENTRY = re.compile(r"([A-Za-z0-9._-]{1,64}):([0-9a-f]{64})")


@dataclass
class _Bucket:
    """A token bucket: a request takes one, `rate` are added a second, at most a second's worth is stored."""

    level: float
    filled_at: float = field(default_factory=lambda: monotonic())

    def take(self, rate: float) -> float:
        """0 if the request may pass, else the seconds until it may."""
        now = monotonic()
        self.level = min(max(rate, 1.0), self.level + (now - self.filled_at) * rate)
        self.filled_at = now
        if self.level < 1:
            return (1 - self.level) / rate
        self.level -= 1
        return 0.0


class Keys:
    """The accepted keys, by their SHA-256; of random keys no slower hash is needed: they cannot be guessed from it."""

    def __init__(self, entries: Iterable[str], requests_per_second: float) -> None:
        """`entries`: `name:sha256` each. Raises UserError."""
        self._rate = requests_per_second
        self._hashes: dict[str, str] = {}
        for number, entry in enumerate(entries, 1):
            parts = _ENTRY.fullmatch(entry.strip())
            if parts is None:  # it is not shown: it may be a key by mistake
                raise UserError(f"entry {number} is not NAME:SHA256, as `python -m boatyard.api.keys NAME` prints it")
            name, digest = parts.groups()
            if name in self._hashes:
                raise UserError(f"entry {number} is a second key named {name!r}: key names must be unique")
            for other, known in self._hashes.items():
                if known == digest:
                    raise UserError(
                        f"entry {number}, {name!r}, is the same key as {other!r}: each entry needs its own key"
                    )
            self._hashes[name] = digest
        self._buckets = {name: _Bucket(max(requests_per_second, 1.0)) for name in self._hashes}

    def __bool__(self) -> bool:
        return bool(self._hashes)

    def check(self, key: str | None) -> str:
        """The name of the key. Raises Problem: 401 without one, 403 with a wrong one, 429 too often."""
        if key is None:
            raise Problem(401, f"the request needs a key in {HEADER}", headers={"www-authenticate": "ApiKey"})
        digest = hashlib.sha256(key.strip(" \t").encode()).hexdigest()  # what HTTP does not count as the header's
        matching = None
        for name, known in self._hashes.items():  # all of them, in constant time
            if hmac.compare_digest(digest, known):
                matching = name
        if matching is None:
            raise Problem(403, f"the key in {HEADER} is not known")
        if seconds := self._buckets[matching].take(self._rate):
            wait = {"retry-after": str(math.ceil(seconds))}
            raise Problem(429, f"the key may send {self._rate:g} requests a second", headers=wait)
        return matching


def main() -> int:
    """Prints a new key once, and the entry that makes a server accept it."""
    if len(sys.argv) != 2 or not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", sys.argv[1]):
        print("usage: python -m boatyard.api.keys NAME (letters, digits, '.', '_', '-')", file=sys.stderr)  # noqa: T201
        return 2
    key = secrets.token_urlsafe(32)
    print(f"key for the client:     {key}")  # noqa: T201
    print(f"entry for the server:   {sys.argv[1]}:{hashlib.sha256(key.encode()).hexdigest()}")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
