"""Folding the whole log anew, beside the views that are there, and putting the result in their place."""

import asyncio
from collections.abc import AsyncIterable, Awaitable, Callable
from pathlib import Path
from typing import Final

from airside.coordinator.views import database
from airside.coordinator.views.folding import fold
from airside.coordinator.views.store import Views, Witness
from airside.events.log import Batch

_SUFFIX: Final = ".rebuild"


async def _nothing() -> None:
    return


def _fold(views: Views, batch: Batch) -> None:
    for _ in fold(views, batch):
        pass


async def rebuild(
    path: Path,
    batches: AsyncIterable[Batch],
    *,
    stream_created: str,
    on_progress: Callable[[int], None] = lambda position: None,
    before_swap: Callable[[], Awaitable[None]] = _nothing,
) -> Witness:
    """Fold these batches, the log from its first entry on, into a new file and put it in the place of `path`.

    Until the last moment the old file stays as it is, and for good if anything fails. `on_progress` is told the
    position after each batch; `before_swap` is awaited when the new file is complete, to close the old one. Raises
    ViewsInUse while a coordinator has the old file open, and whatever `batches` and `Views.apply` raise.
    """
    new = path.with_name(path.name + _SUFFIX)
    database.delete(new)
    views = await asyncio.to_thread(Views.open, new)
    try:
        views.bind(stream_created)
        async for batch in batches:
            await asyncio.to_thread(_fold, views, batch)
            on_progress(views.position)
        witness = views.witness
        await asyncio.to_thread(views.close)
    except BaseException:
        await asyncio.to_thread(views.close)
        database.delete(new)
        raise
    await before_swap()
    database.check_free(path)
    database.replace(new, path)
    return witness
