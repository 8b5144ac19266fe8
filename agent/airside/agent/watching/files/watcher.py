"""Which files landed: each that is new or was written anew since the cursor, once it is whole."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from airside.agent.watching import making
from airside.agent.watching.asking import Asking
from airside.agent.watching.files import address as addresses
from airside.agent.watching.files.address import WHOLE, FileAddress
from airside.agent.watching.files.listing import Found, Listing
from airside.agent.watching.files.waking import Waker
from airside.agent.watching.watcher import Cursor, Polled, WatchError, WatchOptions, WatchRefused
from airside.events import datasets
from airside.events.vocabulary import FILE_LANDED

#: Files that one watcher remembers: about 4 MB of cursor, written whole when something landed.
MAX_FILES: Final = 100_000
_BATCH: Final = 5_000
_LIST_SECONDS: Final = 300.0
_MAX_ID_CHARS: Final = 512


class FileWatcher:
    """Looks at the files of one address again and again. The cursor holds what was seen of each that is still there."""

    def __init__(self, address: FileAddress, listing: Listing, clock: Callable[[], float] = time.time) -> None:
        self._address = address
        self._clock = clock
        self._waker = Waker(address) if address.is_local else None
        self._fresh: deque[Found] = deque()
        self._unfinished: dict[str, tuple[str, float]] = {}
        self._asking = Asking(listing.now)

    @property
    def name(self) -> str:
        """Name what is watched."""
        return self._address.name

    async def poll(self, cursor: Cursor) -> Polled:
        """Look, and give what landed, oldest first. Raises WatchError, WatchRefused for too many files."""
        seen: dict[str, str] = dict(cursor.get("seen", {}))
        if not self._fresh:
            found = await self._look()
            keys = {file.key: file for file in found}
            if "seen" not in cursor and self._address.from_now:
                return Polled([], {"seen": {key: file.mark for key, file in keys.items()}})
            seen = {key: mark for key, mark in seen.items() if key in keys}
            self._fresh.extend(self._whole([file for key, file in keys.items() if seen.get(key) != file.mark]))
        batch = [self._fresh.popleft() for _ in range(min(_BATCH, len(self._fresh)))]
        seen |= {file.key: file.mark for file in batch}
        return Polled([self._event(file) for file in batch], {"seen": seen}, more=bool(self._fresh))

    async def wait(self, seconds: float) -> None:
        """Wait for the next look; it comes early while a file is being written, or when something changed."""
        if self._unfinished:
            seconds = min(seconds, self._address.settle_seconds)
        await (self._waker.wait(seconds) if self._waker and not self._unfinished else asyncio.sleep(seconds))

    async def close(self) -> None:
        """Stop following."""
        if self._waker is not None:
            await self._waker.close()

    async def _look(self) -> list[Found]:
        try:
            found = await self._asking.answer(_LIST_SECONDS)
        except TimeoutError as error:
            raise WatchError(f"{self.name} did not answer in {_LIST_SECONDS:.0f} s") from error
        if self._address.newer_seconds is not None:
            oldest = self._clock() - self._address.newer_seconds
            found = [file for file in found if file.modified is None or file.modified.timestamp() >= oldest]
        if len(found) > MAX_FILES:
            raise WatchRefused(
                f"{self.name} matches {len(found):,} files, and {MAX_FILES:,} can be remembered: "
                "name a longer prefix, or add #newer=7d to look at new ones alone"
            )
        return found

    def _whole(self, fresh: list[Found]) -> list[Found]:
        """Keep back what may still be written. Oldest first."""
        if self._address.scheme not in WHOLE:
            now = self._clock()
            whole = [file for file in fresh if self._is_settled(file, now)]
            done = {file.path for file in whole}
            before = self._unfinished
            self._unfinished = {
                file.path: before[file.path] if before.get(file.path, ("", 0.0))[0] == file.stamp else (file.stamp, now)
                for file in fresh
                if file.path not in done
            }
            fresh = whole
        return sorted(fresh, key=lambda file: (file.modified.timestamp() if file.modified else 0.0, file.path))

    def _is_settled(self, file: Found, now: float) -> bool:
        wanted = self._address.settle_seconds
        if self._address.is_local and file.modified and wanted <= now - file.modified.timestamp():
            return True  # one clock for both
        stamp, since = self._unfinished.get(file.path, ("", now))
        return stamp == file.stamp and now - since >= wanted

    def _event(self, file: Found) -> dict[str, Any]:
        uri = datasets.bounded(self._address.uri(file.path), _MAX_ID_CHARS)
        bucket = f"{self._address.scheme}://{self._address.netloc}" if self._address.scheme in WHOLE else ""
        key = file.path.lstrip("/").partition("/")[2] if bucket else file.path
        return making.event(
            FILE_LANDED,
            f"landed:{datasets.digest(uri, file.path, file.stamp)}",
            {"id": uri, "kind": "file", "name": making.text(key, 512)},
            {
                "size": file.size,
                "etag": file.etag,
                "version": file.version,
                "modified": file.modified.isoformat().replace("+00:00", "Z") if file.modified else None,
                "bucket": self._address.netloc if bucket else None,
                "key" if bucket else "path": making.text(key),
            },
            time=file.modified if bucket else None,
            related=[{"role": "bucket", "id": datasets.uri_id(bucket) or bucket, "kind": "bucket"}] if bucket else (),
        )


def open_watcher(url: str, asked: WatchOptions) -> FileWatcher:
    """Make the watcher of a URL. Raises WatchRefused."""
    address = addresses.read(url, asked)
    return FileWatcher(address, Listing(address, asked))
