"""Tasks and flows for the tests of runners, importable in other processes."""

import logging
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

from airside.sdk.flows import context
from airside.sdk.flows.caching import INPUTS, RUN
from airside.sdk.flows.context import tags
from airside.sdk.flows.flow import flow
from airside.sdk.flows.logs import get_run_logger
from airside.sdk.flows.task import task


class Odd(Exception):
    """Cannot be read again when it was pickled: it wants two arguments."""

    def __init__(self, a: str, b: str) -> None:
        super().__init__(a + b)


@task
def square(number: int) -> int:
    return number * number


@task
def total(numbers: list[int]) -> int:
    return sum(numbers)


@task
async def later(number: int) -> int:
    return number + 1


@task
def where() -> int:
    return os.getpid()


@task
def large() -> bytes:
    return b"x" * 20_000_000


@task
def unsendable() -> Any:
    return (n for n in range(3))


@task(retries=1)
def fails() -> None:
    get_run_logger().warning("this will fail")
    raise Odd("bad", "luck")


@task
def dies() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@task
def sleeps(started: str, deaf: bool = False) -> None:
    Path(started).touch()
    while True:
        try:
            time.sleep(0.05)
        except BaseException:
            if not deaf:
                raise


@task(tags=["own"])
def tells() -> dict[str, Any]:
    flow_run, task_run = context.current_flow(), context.current_run()
    assert isinstance(task_run, context.TaskContext)
    return {
        "flow": flow_run.flow.name,
        "flow_run": flow_run.run.id,
        "parameters": dict(flow_run.parameters),
        "task_run": task_run.run.id,
        "tags": sorted(context.current_tags()),
        "task_tags": sorted(task_run.tags),
        "inner": square(4),
    }


@flow
def mapped(count: int) -> int:
    squares = square.map(range(count))
    return total.submit(squares).result()


@flow
def mixed() -> dict[str, Any]:
    killed, failed = dies.submit(), fails.submit()
    skipped = square.submit(failed)
    states = {"killed": killed.wait(), "failed": failed.wait(), "skipped": skipped.wait()}
    return {**states, "after": later.submit(square.submit(3)).result(), "pids": {where.submit().result()}}


@flow
def context_of_tasks(day: str) -> Any:
    with tags("around"):
        future = tells.submit()
    return future.result(), future.run.id, context.current_flow().run.id


@flow
def results() -> Any:
    return large.submit().result(), unsendable.submit().wait()


@flow
def stuck(started: str, deaf: bool) -> None:
    future = sleeps.submit(started, deaf)
    deadline = time.monotonic() + 60
    while not Path(started).exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    current = context.current_flow()
    current.stop.ask("a person says so")
    logging.getLogger("test").info("asked")
    future.wait()


@flow
def sends_a_lock() -> Any:
    return square.submit(threading.Lock()).wait()


@flow
def gives_up() -> list[Any]:
    futures = square.map(range(40))
    first = futures[0].wait()
    raise RuntimeError(str(first.value))


@task(cache_policy=INPUTS)
def drawn(number: int) -> str:
    return f"{number} {uuid4()}"


@task(cache_policy=RUN)
def drawn_once_a_run(number: int) -> str:
    return f"{number} {uuid4()}"


@task(persist_result=True)
def drawn_and_kept(number: int) -> str:
    return f"{number} {uuid4()}"


@task
def draws_inside(part: int) -> tuple[str, str]:
    return drawn_and_kept(7), keeping(7)


@flow(persist_result=True)
def keeping(number: int) -> str:
    return drawn.with_options(name="kept-by-its-flow", cache_policy=None)(number)


@flow
def held() -> list[Any]:
    stop = context.current_flow().stop
    stop.pause()
    future = square.submit(3)
    try:
        early = future.wait(0.5)
    except TimeoutError:
        early = None
    stop.go_on()
    return [early, future.result()]


@flow
def drawing() -> Any:
    first, other = drawn.submit(1).result(), drawn.submit(2).result()
    return first, drawn.submit(1).result(), other, drawn_once_a_run.submit(1).result(), drawn_once_a_run(2)


@flow(retries=1)
def drawing_twice(file: str) -> Any:
    found = [drawn_and_kept.submit(7).result() for _ in range(3)]
    found += [text for part in range(2) for text in draws_inside.submit(part).result()]
    with Path(file).open("a") as lines:
        lines.write(" ".join(sorted(found)) + "\n")
    if len(Path(file).read_text().splitlines()) == 1:
        raise ValueError("once more")
    return found
