"""The queue of one process and the thread that ships it.

Order is kept by one rule: what is on disk is older than what is in memory. So a batch goes from memory to the server
only while nothing of this process waits on disk; when it cannot be delivered, everything in memory goes to disk, and
disk is shipped first when the server is back.

`put` takes no lock: a signal handler may emit in the middle of anything.
"""

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from queue import Empty, SimpleQueue
from typing import Final

from airside.sdk.emitting import left_over
from airside.sdk.emitting.breaker import MAX_SECONDS, Breaker
from airside.sdk.emitting.delivery import Delivery
from airside.sdk.emitting.notices import Notices, log
from airside.sdk.emitting.spool import AWAY, Spool
from airside.sdk.emitting.transport import Transport

BATCH_EVENTS: Final = 500
BATCH_BYTES: Final = 768 * 1024
#: Waiting for company after the first event: what kill -9 can lose in the default mode.
LINGER_SECONDS: Final = 0.02
#: In memory at most; beyond it the caller's own thread writes to disk.
QUEUE_EVENTS: Final = 5_000
LARGE_EVENT_BYTES: Final = 16 * 1024
LEFT_OVER_SECONDS: Final = 30.0
#: A process that ends helps those before it for so long, if it has not yet: it may be the last for hours.
LEFT_OVER_AT_END_SECONDS: Final = 2.0
#: After the disk took nothing, until it is asked again: asking costs the caller.
NO_DISK_SECONDS: Final = 1.0
#: Between tries while somebody waits in `drain`.
HURRY_SECONDS: Final = 2.0
_LOCK_SECONDS: Final = 1.0


class Shipper:
    """Ships the events of one process in the order they came. Nothing here raises into the caller."""

    def __init__(self, spool: Spool, transport: Callable[[], Transport], notices: Notices, address: str) -> None:
        self.spool = spool
        self.notices = notices
        self._address = address
        self._open = transport
        self._breaker = Breaker(spool.folder / AWAY)
        self._fresh()

    def _fresh(self) -> None:
        self._inbox: SimpleQueue[bytes] = SimpleQueue()  # emptied with the lock alone
        self._bell: SimpleQueue[None] = SimpleQueue()
        self._queue: deque[bytes] = deque()
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._thread: threading.Thread | None = None
        self._transport: Transport | None = None
        self._taken = 0  # events that came out of the inbox or went straight to disk
        self._settled = 0  # of these: delivered, set aside, or lost
        self._generation = 0  # of what is in memory: another one when it went to disk
        self._hurry = 0  # threads that wait in `drain`
        self._attempts = 0
        self._next_left_over = 0.0
        self._no_disk_until = 0.0
        self._ended = False

    # The callers' side

    def put(self, line: bytes, *, durable: bool = False) -> None:
        """Take an event. With `durable` it is on disk when this returns, if the disk takes it."""
        if durable or self._ended or len(line) > LARGE_EVENT_BYTES or self._inbox.qsize() > QUEUE_EVENTS:
            self._put_on_disk(line)
        else:
            self._inbox.put(line)
            self._ring()
        if self._thread is None and not self._ended:
            self._start()

    def wake(self) -> None:
        """Begin to ship what processes that are gone left, though nothing was put yet."""
        if self._thread is None and not self._ended:
            self._start()
        self._ring()

    def drain(self, timeout: float, *, give_up_when_away: bool = False) -> bool:
        """Wait until everything that was put is acknowledged; tell whether it is. It tries now, whatever was before."""
        deadline = time.monotonic() + timeout
        if self._thread is None and not self._ended and self._inbox.qsize():
            self._start()
        with self._changed:
            self._absorb()
            target, attempts = self._taken, self._attempts
            if self._settled >= target:
                return True
            self._hurry += 1
            self._ring()
            try:
                while self._settled < target:
                    left = deadline - time.monotonic()
                    tried = self._attempts > attempts and self._breaker.seconds > 0
                    if left <= 0 or self._thread is None or (give_up_when_away and tried):
                        return False
                    self._changed.wait(left)
            finally:
                self._hurry -= 1
        return True

    def end(self, timeout: float) -> None:
        """Ship what there is within the time, put the rest on disk, and stop. Later events go straight to disk."""
        if self._ended:
            return
        deadline = time.monotonic() + timeout
        if not self._breaker.seconds and self.drain(timeout, give_up_when_away=True):
            self._wait_for_left_over(min(deadline, time.monotonic() + LEFT_OVER_AT_END_SECONDS))
        self._ended = True
        with self._locked():
            self._absorb()
            self._to_disk()
        thread, self._thread = self._thread, None
        if thread is not None:
            self._ring()
            thread.join(0.2)
            if not thread.is_alive():
                self.spool.close()

    def _wait_for_left_over(self, deadline: float) -> None:
        """Let the thread look once at what others left, if it runs and has not yet."""
        with self._changed:
            while self._thread is not None and not self._next_left_over:
                left = deadline - time.monotonic()
                if left <= 0:
                    return
                self._changed.wait(left)

    def after_fork(self) -> None:
        """Begin anew in a forked child: what waits is the parent's, and so are its thread and its files."""
        self._kept_for_parent = (self._transport, self._inbox, self._bell)  # closing them here would disturb the parent
        self.spool.abandon()
        self.notices.counts.clear()
        self._fresh()

    def lock_for_fork(self) -> None:
        """Wait until nothing is half done; the state can then be copied."""
        self._fork_locked = self._lock.acquire(timeout=_LOCK_SECONDS)

    def unlock_after_fork(self) -> None:
        """Go on in the parent."""
        if self._fork_locked:
            self._lock.release()

    @property
    def waiting(self) -> int:
        """Events of this process that are not settled."""
        return self._inbox.qsize() + len(self._queue) + self.spool.waiting

    def _ring(self) -> None:
        """Wake the thread. One ring not heard yet stands for any number."""
        if self._bell.empty():
            self._bell.put(None)

    def _put_on_disk(self, line: bytes) -> None:
        with self._locked() as locked:
            if not locked:  # a signal handler inside our own code
                self._inbox.put(line)
                return
            self._absorb()
            self._queue.append(line)
            self._taken += 1
            self._to_disk()
        if not self._ended:
            self._ring()

    def _start(self) -> None:
        with self._locked() as locked:
            if not locked or self._thread is not None:
                return
            thread = threading.Thread(target=self._run, name="airside-shipper", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # the interpreter ends, or there are no threads left
                self._ended = True
                self._absorb()
                self._to_disk()
            else:
                self._thread = thread

    @contextlib.contextmanager
    def _locked(self) -> Iterator[bool]:
        locked = self._lock.acquire(timeout=_LOCK_SECONDS)
        try:
            yield locked
        finally:
            if locked:
                self._lock.release()

    def _absorb(self) -> None:
        """Take what is in the inbox. Call it with the lock."""
        try:
            while True:
                self._queue.append(self._inbox.get_nowait())
                self._taken += 1
        except Empty:
            return

    def _to_disk(self) -> None:
        """Spool what is in memory; what does not fit there stays in memory up to its bound. Call it with the lock."""
        if not self._queue:
            return
        if time.monotonic() < self._no_disk_until and not self._ended:
            self._trim()
            return
        lines = list(self._queue)
        try:
            self.spool.append(lines)
        except OSError as error:
            self._keep_what_fits(error)
            return
        self.notices.counts["spooled"] += len(lines)
        self._queue.clear()
        self._generation += 1

    def _keep_what_fits(self, error: OSError) -> None:
        self.notices.warn("spool", "events cannot be kept on disk: %s. New ones will be lost", error)
        self._no_disk_until = time.monotonic() + NO_DISK_SECONDS
        self._trim()

    def _trim(self) -> None:
        """Give up the newest of what is in memory beyond its bound; at the end, all of it."""
        lost = len(self._queue) if self._ended else max(len(self._queue) - QUEUE_EVENTS, 0)
        for _ in range(lost):
            self._queue.pop()
        self.notices.counts["lost"] += lost
        self._settled += lost

    # The thread's side

    def _run(self) -> None:
        while not self._ended:
            try:
                self._wait()
                self._work()
            except Exception as error:  # noqa: BLE001 - whatever happens, later events must be shipped
                self._failed(error)
        if self._transport is not None:
            self._transport.close()

    def _failed(self, error: Exception) -> None:
        """Keep the events and try again; a name of the error says enough where its text may hold a secret."""
        log.debug("shipping events failed", exc_info=error)
        self.notices.warn("failed", "shipping events failed: %s; they are kept and tried again", type(error).__name__)
        self._breaker.failed()
        with self._changed:
            self._attempts += 1
            self._absorb()
            self._to_disk()
            self._changed.notify_all()

    def _wait(self) -> None:
        """Wait for events, or until it is time to try again."""
        pause = min(self._breaker.seconds, HURRY_SECONDS if self._hurry else MAX_SECONDS)
        if not (self._queue or self.spool.waiting):
            pause = max(self._next_left_over - time.monotonic(), pause) if self._next_left_over else pause
            timeout = pause if self._transport is not None else None
        else:
            timeout = pause
        if timeout is not None and timeout <= 0:
            return
        try:
            self._bell.get(timeout=timeout)
        except Empty:
            return
        if not self._hurry and not self._ended:
            time.sleep(LINGER_SECONDS)

    def _work(self) -> None:
        with self._lock:
            self._absorb()
            if self._breaker.seconds and not self._hurry:
                self._to_disk()
                return
        delivery = self._delivery()
        while not self._ended:
            batch, generation = self._next_batch()
            if not batch:
                break
            if not self._ship(delivery, batch, generation):
                return
        is_time = time.monotonic() >= self._next_left_over
        if is_time and left_over.ship(self.spool, delivery, self.notices, self._has_more):
            with self._changed:
                self._next_left_over = time.monotonic() + LEFT_OVER_SECONDS
                self._changed.notify_all()
        if self._transport is not None:
            self._transport.rest()

    def _has_more(self) -> bool:
        return self._ended or self._inbox.qsize() > 0 or bool(self._queue)

    def _delivery(self) -> Delivery:
        if self._transport is None:
            with fork_guard:
                self._transport = self._open()
        return Delivery(self._transport, self.spool, self.notices)

    def _next_batch(self) -> tuple[list[bytes], int]:
        """Give the oldest events, and the generation they belong to; -1 for those from disk."""
        with self._lock:
            self._absorb()
            if self.spool.waiting:
                return self.spool.peek(BATCH_EVENTS, BATCH_BYTES), -1
            return _up_to(self._queue, BATCH_BYTES), self._generation

    def _ship(self, delivery: Delivery, batch: list[bytes], generation: int) -> bool:
        """Deliver a batch and note what became of it; False when the server is away."""
        settled = delivery.deliver(batch)
        with self._changed:
            self._attempts += 1
            if generation < 0:
                self.spool.advance(batch[:settled])
                self._settled += settled
            elif generation == self._generation:  # else it went to disk meanwhile, and will be sent from there
                for _ in range(settled):
                    self._queue.popleft()
                self._settled += settled
            is_whole = settled == len(batch)
            (self._is_back if is_whole else self._is_away)(delivery)
            self._changed.notify_all()
        return is_whole

    def _is_away(self, delivery: Delivery) -> None:
        away = delivery.away
        self._to_disk()
        self._breaker.failed(away.retry_after_seconds if away else 0.0)
        self.notices.warn(
            "away",
            "Airside at %s cannot take events: %s. They wait in %s and are sent later",
            self._address,
            away.reason.rstrip(".") if away else "for no known reason",
            self.spool.folder,
        )

    def _is_back(self, _: Delivery) -> None:
        self._breaker.succeeded()
        if self.notices.forget("away"):
            log.info("Airside at %s takes events again", self._address, extra={"action": "emit.back"})


#: Held while the thread imports: a child that is forked in the middle of an import could never finish it.
fork_guard = threading.RLock()


def _up_to(queue: deque[bytes], max_bytes: int) -> list[bytes]:
    """Give the first events of the queue, as many as fit into a batch, at least one."""
    found: list[bytes] = []
    size = 0
    for line in islice(queue, BATCH_EVENTS):
        size += len(line)
        if found and size > max_bytes:
            break
        found.append(line)
    return found


def release_fork_guard() -> None:
    """Let imports go on after a fork; it may not have been had in time."""
    with contextlib.suppress(RuntimeError):
        fork_guard.release()


def renew_fork_guard() -> None:
    """Make the guard anew in a forked child, where its owner may not exist."""
    global fork_guard  # noqa: PLW0603
    fork_guard = threading.RLock()
