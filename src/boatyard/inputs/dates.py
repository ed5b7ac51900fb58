"""A date in a cell, however the source holds it."""

from datetime import date, datetime


def read_date(cell: object) -> date | None:
    """Of a date or a time, or of either in ISO 8601, the day; None where it is neither."""
    if isinstance(cell, str):
        try:
            cell = datetime.fromisoformat(cell.strip())
        except ValueError:
            return None
    if isinstance(cell, datetime):
        return cell.date()
    return cell if isinstance(cell, date) else None
