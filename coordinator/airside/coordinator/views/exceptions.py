"""What can go wrong with the views and with people's queries on them.

- AirsideError
    - ViewsError
        - ViewsInUse        another process holds the file
        - ViewsBusy         too many read at once; ask again in a moment
        - ViewsDamaged      the file cannot be trusted; rebuild it, the log has everything
    - BadCursor             the asker's fault: the cursor is none that a list gave
    - QueryError
        - QueryRefused      the asker's fault: the message says what is wrong with the SQL
        - QueryTooLong      it ran into its deadline
        - QueryTooLarge     it needed more memory, or gave larger rows, than a query may
"""

from airside.events import AirsideError


class _Told(AirsideError):
    """Says what its class says, unless told something better."""

    def __str__(self) -> str:
        return super().__str__() or type(self).__doc__ or ""


class ViewsError(_Told):
    """The views could not do what was asked."""


class ViewsInUse(ViewsError):
    """Another process has the views open. Stop the other coordinator on this home first."""


class ViewsBusy(ViewsError):
    """Too much is being read at this moment. Ask again in a few seconds, or for less at a time."""


class ViewsDamaged(ViewsError):
    """The views' file cannot be read. Nothing is lost: `airside views rebuild` makes it anew from the log."""


class BadCursor(_Told):
    """The cursor is not one that this list gave. Begin again without one."""


class QueryError(_Told):
    """A query gave no result."""


class QueryRefused(QueryError):
    """The query is not one read-only statement that the views can answer."""


class QueryTooLong(QueryError):
    """The query took longer than it may. Narrow it, or ask for a longer timeout."""


class QueryTooLarge(QueryError):
    """The query needed more memory than a query may use. Narrow it, or select fewer columns."""
