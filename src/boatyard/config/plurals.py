"""A number with its noun, and perhaps its verb."""


def counted(number: int, noun: str, verb: tuple[str, str] | None = None) -> str:
    """1 row, 1,234 rows; with `verb` as ("was", "were"): 1 row was, 1,234 rows were."""
    said = f"{number:,} {noun}{'' if number == 1 else 's'}"
    return said if verb is None else f"{said} {verb[number != 1]}"
