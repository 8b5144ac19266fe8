"""What the log is folded into: DuckDB tables for everybody to read, and people's own SQL on them."""

from airside.coordinator.views.exceptions import (
    BadCursor,
    QueryError,
    QueryRefused,
    QueryTooLarge,
    QueryTooLong,
    ViewsBusy,
    ViewsDamaged,
    ViewsError,
    ViewsInUse,
)
from airside.coordinator.views.store import Folded, Views, Witness

__all__ = [
    "BadCursor",
    "Folded",
    "QueryError",
    "QueryRefused",
    "QueryTooLarge",
    "QueryTooLong",
    "Views",
    "ViewsBusy",
    "ViewsDamaged",
    "ViewsError",
    "ViewsInUse",
    "Witness",
]
