"""Content negotiation: which of the offered media types a client accepts (RFC 9110, section 12.5.1)."""

from collections.abc import Iterator, Sequence

from fastapi import Request

from boatyard.api.problems import Problem

_ANY = "*/*"


def negotiate(request: Request, offers: Sequence[str]) -> str:
    """The offer that the client likes best: of equal ones that it named most exactly, then the first. Raises Problem.

    Without an Accept header, any is accepted.
    """
    accept = ", ".join(request.headers.getlist("accept")).strip() or _ANY
    weights = dict(_weights(accept))
    likings = [_liking(offer, weights) for offer in offers]
    best = max(likings)
    if not best[0]:
        raise Problem(406, f"the answer may be {', '.join(offers)}; none of them is {accept[:100]}")
    return offers[likings.index(best)]


def _liking(offer: str, weights: dict[str, float]) -> tuple[float, int]:
    """By the most exact range that covers the offer: its weight, and how exact it is."""
    ranges = (_ANY, f"{offer.partition('/')[0]}/*", offer)
    named = [(weights[each], exact) for exact, each in enumerate(ranges) if each in weights]
    return named[-1] if named else (0.0, 0)


def _weights(accept: str) -> Iterator[tuple[str, float]]:
    """Media ranges, without parameters, and their weights; what cannot be read is passed over."""
    for named in accept.split(","):
        media_range, *parameters = (part.strip().lower() for part in named.split(";"))
        weight = next((each.removeprefix("q=") for each in parameters if each.startswith("q=")), "1")
        try:
            yield media_range, float(weight)
        except ValueError:
            continue
